-- wrk script: two shapes of load and one line of figures.
--
-- BENCH_SHAPE=same    every connection repeats one head (what wrk does by itself)
-- BENCH_SHAPE=varied  the target and the Cookie differ in every request, so that no server can profit from
--                     having seen a head before
-- BENCH_PATH          the target, "/" when unset

local path = os.getenv("BENCH_PATH") or "/"

local HEADERS = {
  "Connection: keep-alive",
  "Cache-Control: max-age=0",
  "Upgrade-Insecure-Requests: 1",
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
  "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
  "Referer: http://127.0.0.1/articles/2024/a-page-that-links-here",
  "Accept-Encoding: gzip, deflate, br, zstd",
  "Accept-Language: en-GB,en;q=0.9,de;q=0.7,fr;q=0.5",
  "DNT: 1",
}

-- The tenth header is the Cookie; wrk's Host comes on top of the ten. Heads are put together by hand because
-- wrk.format walks a table for every request and would make the load generator the narrow place.
local function tail()
  return " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\n" .. table.concat(HEADERS, "\r\n") .. "\r\nCookie: theme=dark; session=5f3a9c7e21b04d68a1"
end

local varied = os.getenv("BENCH_SHAPE") == "varied"
local head, rest, number, fixed

function init(_)
  if not wrk.headers["Host"] then
    wrk.headers["Host"] = wrk.host .. ":" .. wrk.port
  end
  number = 100000000
  head, rest = "GET " .. path .. "?n=", tail()
  fixed = "GET " .. path .. rest .. string.format("%09d\r\n\r\n", number)
end

if varied then
  function request()
    number = number + 1
    return head .. number .. rest .. number .. "\r\n\r\n"
  end
else
  function request()
    return fixed
  end
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    "FIGURES %d %d %d %d %d %d %d %d %d\n",
    summary.requests, summary.duration,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout,
    latency:percentile(50), latency:percentile(99)
  ))
end
