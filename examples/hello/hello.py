"""The shortest program: objects with exposed methods become pages.

python examples/hello/hello.py
kirsch run examples/hello/hello.py
"""

import kirsch


class Root:
    @kirsch.expose
    def index(self):
        return "Hello, world!"

    @kirsch.expose
    def greet(self, name="world", times="1"):
        kirsch.response.headers["Content-Type"] = "text/plain; charset=utf-8"
        return "\n".join([f"Hello, {name}!"] * min(int(times), 10))


if __name__ == "__main__":
    kirsch.quickstart(Root())
