"""`mezzo segment --serve`: a page where one drops a photo, clicks on it and sees the mask."""

from __future__ import annotations

import importlib.util
import ipaddress
import json
from collections.abc import Callable
from importlib import resources

import click
from rich.console import Console

from mezzo.cli.segment.studio import MAX_UPLOAD, Problem, Studio

PACKAGES = ("bottle", "waitress")
MAX_JSON = 1 << 16  # bytes of a request that holds prompts
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def check(host: str) -> None:
    """Raise UsageError where the page cannot be served: what it needs is an extra."""
    absent = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if absent:
        raise click.UsageError(
            f"--serve needs {' and '.join(absent)}: pip install 'mezzo[serve]' installs what it takes."
        )
    if not host.strip():
        raise click.UsageError("--host is empty; give an address, such as 127.0.0.1.")


def serve(console: Console, model, config: str, dtype: str, host: str, port: int) -> None:
    """Serve until interrupted."""
    import waitress

    try:
        server = waitress.create_server(
            application(Studio(model, config, dtype), is_loopback(host)),
            host=host,
            port=port,
            threads=4,
            ident="mezzo",
            # A little more than the page may send, so that it is the page that says what is too much.
            max_request_body_size=MAX_UPLOAD + (1 << 20),
            clear_untrusted_proxy_headers=True,
        )
    except (OSError, ValueError) as problem:
        raise click.UsageError(
            f"--serve cannot listen on {host}:{port} ({problem}); choose another --host or --port."
        ) from None
    # A name that means several addresses makes several sockets, of which the first is shown.
    sockets = getattr(server, "effective_listen", None)
    address, bound = sockets[0] if sockets else (server.effective_host, server.effective_port)
    console.print(
        f"{config} in {dtype}: http://{address}:{bound}   (Ctrl-C ends it)", soft_wrap=True
    )
    if not is_loopback(host):
        console.print(f"{host} is not this machine alone: whoever reaches it can use the page.")
    server.run()


def is_loopback(host: str) -> bool:
    """Whether an address means this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def application(studio: Studio, only_loopback: bool):
    """The WSGI application of the page."""
    import bottle

    app, request = bottle.Bottle(), bottle.request
    page = resources.files("mezzo.cli.segment").joinpath("page.html").read_text(encoding="utf-8")

    def problem(status: int, text: str):
        kind = {"Content-Type": "application/json"}
        return bottle.HTTPResponse(json.dumps({"error": text}), status, kind)

    def body(limit: int) -> bytes:
        _check_length(request.content_length, limit)
        return request.body.read(limit)

    def question() -> dict:
        return studio.parse(body(MAX_JSON))

    def route(path: str, answer: Callable, method: str = "GET", kind: str | None = None) -> None:
        """Answers, of `kind` unless they say themselves; problems as JSON with their status."""

        def answered(*names):
            try:
                content = answer(*names)
            except Problem as found:
                return problem(found.status, str(found))
            if kind is not None:
                bottle.response.content_type = kind
            return content

        app.route(path, method, lambda **names: answered(*names.values()))

    route("/", lambda: page)
    route("/state", studio.state)
    route("/photo", lambda: studio.add(body(MAX_UPLOAD)), "POST")
    route("/photo/<key>", studio.picture, kind="image/jpeg")
    route("/progress/<key>", studio.progress)
    route("/predict", lambda: studio.predict(question()), "POST")
    route("/everything", lambda: studio.everything(question()), "POST")
    route("/result", lambda: studio.result(question()), "POST", "image/png")

    @app.hook("before_request")
    def guard() -> None:
        refusal = refused(
            request.get_header("Host", ""), request.get_header("Origin"), only_loopback
        )
        if refusal:
            raise problem(403, refusal)

    @app.hook("after_request")
    def protect() -> None:
        for name, value in HEADERS.items():
            bottle.response.set_header(name, value)

    def plain(error) -> str:
        """What went wrong outside of the routes, as JSON too."""
        bottle.response.content_type = "application/json"
        here = error.status_code < 500
        return json.dumps({"error": str(error.body) if here else "failed; see the terminal"})

    app.default_error_handler = plain
    return app


def refused(host: str, origin: str | None, only_loopback: bool) -> str | None:
    """Why a request is not answered, if so.

    A page of somebody else's must not reach the model through the visitor's browser, be it by a name
    that resolves to this machine or by a request across origins.
    """
    if only_loopback and not is_loopback(host_name(host)):
        return f"this server answers to this machine's own names, not to {host!r}"
    if origin and origin.partition("://")[2] != host:
        return f"requests from pages of {origin} are not answered"
    return None


def _check_length(size: int, limit: int) -> None:
    if size < 0:
        raise Problem("the request does not say how long it is (Content-Length)", 411)
    if size > limit:
        raise Problem(
            f"that is {size / 2**20:.1f} MiB; at most {limit / 2**20:.1f} MiB are taken", 413
        )


def host_name(host: str) -> str:
    """The name in a Host header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
