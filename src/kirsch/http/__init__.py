"""HTTP itself, without I/O: fields, cookies, dates, ranges, accept lists, status codes, and the exchange."""
