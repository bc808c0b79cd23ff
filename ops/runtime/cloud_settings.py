"""The settings that name resources of Google Cloud, and the resources' full names."""

# ruff: noqa: RUF009  # `setting` returns a dataclasses.field

from dataclasses import dataclass
from pathlib import Path

from ops.runtime.setting_declaration import setting
from ops.runtime.setting_rules import existing_file, matching

_PUBSUB_NAME = matching(
    r"^(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,239}$", "a Pub/Sub name of 3 to 240 characters"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSettings:
    cloud: bool
    """Whether PROJECT_ID is set; otherwise it is local mode."""
    project_id: str = setting(
        matching(r"^[a-z][a-z0-9.:-]{4,62}[a-z0-9]$", "a Google Cloud project id"),
        "the Google Cloud project; without it, local mode",
        local_default="gatekeeper-local",
        example="my-project",
        section="Google Cloud: all of these, but not always the key file",
    )
    google_application_credentials: Path | None = setting(
        existing_file,
        "the key file of a service account; without it, the machine's own account",
        example="/path/to/service-account.json",
    )
    dataset_id: str = setting(
        matching(r"^[A-Za-z0-9_]{1,1024}$", "a BigQuery dataset's name"),
        "the BigQuery dataset",
        local_default="gatekeeper",
        required_in_cloud=True,
    )
    topic_id: str = setting(
        _PUBSUB_NAME,
        "the topic; its dead letters go to `…-dead-letter`",
        local_default="gatekeeper",
        required_in_cloud=True,
    )
    subscription_id: str = setting(
        _PUBSUB_NAME,
        "the subscription that the workers share; dead letters are in `…-dead-letter`",
        local_default="gatekeeper-workers",
        required_in_cloud=True,
    )

    @property
    def topic_path(self) -> str:
        """The topic that accepted transactions are published to."""
        return f"projects/{self.project_id}/topics/{self.topic_id}"

    @property
    def subscription_path(self) -> str:
        return f"projects/{self.project_id}/subscriptions/{self.subscription_id}"

    @property
    def dead_letter_topic_path(self) -> str:
        """The topic of transactions that are rejected permanently."""
        return f"{self.topic_path}-dead-letter"

    @property
    def dead_letter_subscription_path(self) -> str:
        """The subscription that the operator's dead-letter commands read."""
        return f"{self.subscription_path}-dead-letter"

    @property
    def notify_subscription_path(self) -> str:
        """The subscription on the dead-letter topic that the notifiers read."""
        return f"{self.subscription_path}-notify"

    @property
    def dataset_path(self) -> str:
        """`project.dataset`, as SQL and the client library name it."""
        return f"{self.project_id}.{self.dataset_id}"
