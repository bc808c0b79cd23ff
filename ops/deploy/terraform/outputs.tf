output "service_account" {
  description = "The account of servers and workers."
  value       = google_service_account.gatekeeper.email
}

output "env" {
  description = "The lines of .env for these resources."
  value = {
    PROJECT_ID      = var.project_id
    DATASET_ID      = google_bigquery_dataset.dataset.dataset_id
    TOPIC_ID        = google_pubsub_topic.topic["transactions"].name
    SUBSCRIPTION_ID = google_pubsub_subscription.workers.name
    LEASE_SECONDS   = tostring(var.lease_seconds)
  }
}
