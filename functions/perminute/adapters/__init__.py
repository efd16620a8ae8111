"""What stands behind the ports: DynamoDB, S3, SQS, and the in-memory twins."""
