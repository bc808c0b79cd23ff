# The account of servers and workers, with no more than they use.

resource "google_service_account" "gatekeeper" {
  project      = var.project_id
  account_id   = var.account_id
  display_name = "Gatekeeper: servers and workers"
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = google_pubsub_topic.topic
  project  = var.project_id
  topic    = each.value.name
  role     = "roles/pubsub.publisher"
  member   = google_service_account.gatekeeper.member
}

resource "google_pubsub_subscription_iam_member" "subscriber" {
  for_each = {
    workers     = google_pubsub_subscription.workers.name
    dead_letter = google_pubsub_subscription.dead_letter.name
  }
  project      = var.project_id
  subscription = each.value
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.gatekeeper.member
}

resource "google_bigquery_dataset_iam_member" "editor" {
  project    = var.project_id
  dataset_id = google_bigquery_dataset.dataset.dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.gatekeeper.member
}

# Jobs belong to the project; the backlog is read from Cloud Monitoring.
resource "google_project_iam_member" "project" {
  for_each = toset(["roles/bigquery.jobUser", "roles/monitoring.viewer"])
  project  = var.project_id
  role     = each.value
  member   = google_service_account.gatekeeper.member
}

# Publishing to a topic with a key needs the service agents of Pub/Sub and BigQuery to use it.
data "google_project" "project" {
  project_id = var.project_id
}

resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = var.kms_key == null ? {} : {
    pubsub   = "serviceAccount:service-${data.google_project.project.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
    bigquery = "serviceAccount:bq-${data.google_project.project.number}@bigquery-encryption.iam.gserviceaccount.com"
  }
  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value
}
