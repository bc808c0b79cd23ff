# What Gatekeeper needs in Google Cloud, for OpenTofu or Terraform: topic, subscriptions, dataset, service
# account, bindings and alerts. The same as `gatekeeper provision` makes, which still makes the ledger's
# tables: run it afterwards, with the same names.
#
#   module "gatekeeper" {
#     source     = "./ops/deploy/terraform"
#     project_id = "my-project"
#   }

terraform {
  required_version = ">= 1.5"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 5.0"
    }
  }
}

locals {
  topics = {
    transactions = var.topic_id
    dead_letter  = "${var.topic_id}-dead-letter"
  }
}

resource "google_pubsub_topic" "topic" {
  for_each     = local.topics
  project      = var.project_id
  name         = each.value
  labels       = var.labels
  kms_key_name = var.kms_key

  message_retention_duration = each.key == "transactions" && var.rewind_days > 0 ? "${var.rewind_days * 86400}s" : null

  dynamic "message_storage_policy" {
    for_each = length(var.regions) > 0 ? [true] : []
    content {
      allowed_persistence_regions = var.regions
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.agents]
}

# No dead_letter_policy: Pub/Sub would move a transaction away without a ledger row.
resource "google_pubsub_subscription" "workers" {
  project                    = var.project_id
  name                       = var.subscription_id
  topic                      = google_pubsub_topic.topic["transactions"].id
  labels                     = var.labels
  ack_deadline_seconds       = var.lease_seconds
  enable_message_ordering    = true
  message_retention_duration = "${var.retention_days * 86400}s"

  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = "1s"
    maximum_backoff = "60s"
  }
}

resource "google_pubsub_subscription" "dead_letter" {
  project                    = var.project_id
  name                       = "${var.subscription_id}-dead-letter"
  topic                      = google_pubsub_topic.topic["dead_letter"].id
  labels                     = var.labels
  ack_deadline_seconds       = 60
  message_retention_duration = "${var.retention_days * 86400}s"

  expiration_policy {
    ttl = ""
  }
}

resource "google_bigquery_dataset" "dataset" {
  project    = var.project_id
  dataset_id = var.dataset_id
  location   = var.location
  labels     = var.labels

  dynamic "default_encryption_configuration" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.agents]
}
