"""How a program outside turns the emulator's knobs: its clock, its faults, its journal."""

from dataclasses import asdict
from http import HTTPStatus

from aiohttp import web

from pulumi_avn_token.emulator.answers import Refusal, iso
from pulumi_avn_token.emulator.clock import Clock
from pulumi_avn_token.emulator.faults import Fault
from pulumi_avn_token.emulator.journal import CONTROL_PATH, Journal
from pulumi_avn_token.emulator.strikes import Faults
from pulumi_avn_token.emulator.validation import body_list, body_object


class Control:
    """The calls below `/emulator/`; they need no credential, since only this machine's programs get here."""

    def __init__(self, clock: Clock, faults: Faults, journal: Journal) -> None:
        self._clock = clock
        self._faults = faults
        self._journal = journal

    def routes(self) -> list[web.RouteDef]:
        """List the calls by method and path."""
        return [
            web.get(f"{CONTROL_PATH}clock", self._get_clock),
            web.put(f"{CONTROL_PATH}clock", self._put_clock),
            web.get(f"{CONTROL_PATH}faults", self._get_faults),
            web.put(f"{CONTROL_PATH}faults", self._put_faults),
            web.delete(f"{CONTROL_PATH}faults", self._delete_faults),
            web.get(f"{CONTROL_PATH}requests", self._get_requests),
            web.delete(f"{CONTROL_PATH}requests", self._delete_requests),
        ]

    async def _get_clock(self, _: web.Request) -> web.Response:
        return web.json_response({"offset_seconds": self._clock.offset, "now": iso(self._clock.now())})

    async def _put_clock(self, request: web.Request) -> web.Response:
        seconds = body_object(await request.read()).get("offset_seconds")
        if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
            raise Refusal(HTTPStatus.BAD_REQUEST, "Invalid input for offset_seconds: must be a number")
        try:
            self._clock.offset = seconds
        except ValueError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"Invalid input for offset_seconds: {error}") from error
        return await self._get_clock(request)

    async def _get_faults(self, _: web.Request) -> web.Response:
        return web.json_response({"faults": [vars(fault) for fault in self._faults.get()]})

    async def _put_faults(self, request: web.Request) -> web.Response:
        try:
            self._faults.set([Fault(**rule) for rule in body_list(await request.read())])
        except (TypeError, ValueError) as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"Invalid input for faults: {error}") from error
        return await self._get_faults(request)

    async def _delete_faults(self, request: web.Request) -> web.Response:
        self._faults.set([])
        return await self._get_faults(request)

    async def _get_requests(self, _: web.Request) -> web.Response:
        records = self._journal.records()
        return web.json_response({"count": len(records), "requests": [asdict(record) for record in records]})

    async def _delete_requests(self, request: web.Request) -> web.Response:
        self._journal.clear()
        return await self._get_requests(request)
