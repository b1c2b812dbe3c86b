"""The engine of journeys keeps its promises on PostgreSQL."""

from tests.unit.act.journey_engine import JourneyEngineContract


class TestOnPostgres(JourneyEngineContract):
    """Every promise; the fixture `ledger` is the server's."""
