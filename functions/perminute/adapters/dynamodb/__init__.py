"""The stores on DynamoDB, over one pynamodb connection and one botocore client."""
