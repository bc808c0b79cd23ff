"""Google's credentials: the service account's of the settings, or the machine's own."""

import google.auth
from google.auth.credentials import Credentials

from ops.runtime.settings import Settings

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


def find(settings: Settings) -> Credentials:
    """Return the service account's credentials, or the environment's own where none is named."""
    file = settings.google_application_credentials
    found, _ = (
        google.auth.load_credentials_from_file(str(file), scopes=_SCOPES)  # type: ignore[no-untyped-call]
        if file
        else google.auth.default(scopes=_SCOPES)
    )
    return found
