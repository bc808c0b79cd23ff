variable "project_id" {
  type        = string
  description = "PROJECT_ID"
}

variable "topic_id" {
  type        = string
  description = "TOPIC_ID"
  default     = "gatekeeper"
}

variable "subscription_id" {
  type        = string
  description = "SUBSCRIPTION_ID"
  default     = "gatekeeper-workers"
}

variable "dataset_id" {
  type        = string
  description = "DATASET_ID"
  default     = "gatekeeper"
}

variable "location" {
  type        = string
  description = "The location of the dataset; it cannot change later."
  default     = "US"
}

variable "regions" {
  type        = list(string)
  description = "The regions where Pub/Sub may keep messages; empty: any."
  default     = []
}

variable "lease_seconds" {
  type        = number
  description = "LEASE_SECONDS"
  default     = 60
}

variable "retention_days" {
  type        = number
  description = "Days that Pub/Sub keeps what is not acknowledged, up to 31; above 7 it is charged."
  default     = 7
}

variable "rewind_days" {
  type        = number
  description = "Days that the topic keeps everything, for gatekeeper rewind, up to 31; 0: not at all. It is charged."
  default     = 0
}

variable "kms_key" {
  type        = string
  description = "The name of a key of Cloud KMS for topics and dataset; null: Google's own keys."
  default     = null
}

variable "labels" {
  type        = map(string)
  description = "Labels of topics, subscriptions, dataset and alerts."
  default     = {}
}

variable "account_id" {
  type        = string
  description = "The name of the service account."
  default     = "gatekeeper"
}

variable "oldest_seconds" {
  type        = number
  description = "Alert when the oldest transaction is older."
  default     = 600
}

variable "notification_channels" {
  type        = list(string)
  description = "Where alerts are sent."
  default     = []
}
