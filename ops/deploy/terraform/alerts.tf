# Alerts on what Pub/Sub itself knows, which also fire when no process of Gatekeeper runs. The others
# are in ops/monitoring/rules.yml.

locals {
  alerts = {
    "oldest transaction" = {
      subscription = google_pubsub_subscription.workers.name
      metric       = "oldest_unacked_message_age"
      threshold    = var.oldest_seconds
      text         = "The oldest transaction waits longer than ${var.oldest_seconds} s: docs/runbook.md#gatekeeperbacklogold"
    }
  }
}

resource "google_monitoring_alert_policy" "alert" {
  for_each              = local.alerts
  project               = var.project_id
  display_name          = "Gatekeeper: ${each.key}"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = each.value.metric
    condition_threshold {
      filter          = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${each.value.subscription}\" AND metric.type = \"pubsub.googleapis.com/subscription/${each.value.metric}\""
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.threshold
      duration        = "300s"
      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    content   = each.value.text
    mime_type = "text/markdown"
  }
}
