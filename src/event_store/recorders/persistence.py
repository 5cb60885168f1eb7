"""Daybook's log as a PERSISTENCE_MODULE of the eventsourcing package: makes its recorders."""

from eventsourcing.persistence import InfrastructureFactory, InfrastructureFactoryError
from eventsourcing.utils import Environment, EnvType, resolve_topic

from event_store.recorders.datastore import Datastore
from event_store.recorders.process_recorder import LogProcessRecorder
from event_store.recorders.recorder import LogRecorder
from event_store.recorders.tracking_recorder import LogTrackingRecorder

OFF = {"", "n", "no", "f", "false", "off", "0"}


class DaybookFactory(InfrastructureFactory[LogTrackingRecorder]):
    """Makes recorders for the application that its environment is named after."""

    DATABASE_URL = "DAYBOOK_DATABASE_URL"
    WHOLE_LOG = "WHOLE_LOG"

    def __init__(self, env: Environment | EnvType | None) -> None:
        """Raise `InfrastructureFactoryError` for settings that Daybook's log cannot serve."""
        super().__init__(env)
        url = self.env.get(self.DATABASE_URL)
        if not url:
            raise InfrastructureFactoryError(
                f"Set {self.DATABASE_URL} to the address of the Postgres database with the log."
            )
        refuse_what_would_lose_events(self.env)
        self._datastore = Datastore(url)
        self._own_only = bool(self.env.name) and not is_on(self.env, self.WHOLE_LOG)

    def close(self) -> None:
        """Hang up; the recorders of this factory are closed with it."""
        self._datastore.close()

    def aggregate_recorder(self, purpose: str = "events") -> LogRecorder:
        """Make the recorder of the application's events; the log keeps no snapshots."""
        if purpose != "events":
            raise InfrastructureFactoryError(
                f"Daybook's log keeps no {purpose}: unset IS_SNAPSHOTTING_ENABLED, and "
                "is_snapshotting_enabled and snapshotting_intervals of the application's class."
            )
        return self.application_recorder()

    def application_recorder(self) -> LogRecorder:
        """Make the recorder of the application's events."""
        return LogRecorder(self._datastore, self.env.name, own_only=self._own_only)

    def tracking_recorder(
        self, tracking_recorder_class: type[LogTrackingRecorder] | None = None
    ) -> LogTrackingRecorder:
        """Make the given kind of recorder, else the one of TRACKING_RECORDER_TOPIC, else ours."""
        topic = self.env.get(self.TRACKING_RECORDER_TOPIC)
        kind = tracking_recorder_class or (resolve_topic(topic) if topic else LogTrackingRecorder)
        recorder: LogTrackingRecorder = kind(self._datastore, self.env.name)
        return recorder

    def process_recorder(self) -> LogProcessRecorder:
        """Make a recorder of the application's events together with its checkpoints."""
        return LogProcessRecorder(self._datastore, self.env.name, own_only=self._own_only)


def refuse_what_would_lose_events(env: Environment) -> None:
    """Raise `InfrastructureFactoryError` for settings of the package that mean another log."""
    if is_on(env, "POSTGRES_ENABLE_DB_FUNCTIONS"):
        raise InfrastructureFactoryError(
            "POSTGRES_ENABLE_DB_FUNCTIONS is set: that mode of the eventsourcing package takes no "
            "lock, so readers lose events, and forgets tracking. Unset it; Daybook is fast without."
        )
    if (env.get("ORIGINATOR_ID_TYPE") or "uuid").lower() != "uuid":
        raise InfrastructureFactoryError(
            "ORIGINATOR_ID_TYPE is set, but Daybook's streams have UUIDs: unset it."
        )


def is_on(env: Environment, key: str) -> bool:
    """Tell whether a setting is anything but a word for no."""
    return env.get(key, "").strip().lower() not in OFF
