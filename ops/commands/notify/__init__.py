"""`gatekeeper notify`: the webhooks that rejections are reported to."""
