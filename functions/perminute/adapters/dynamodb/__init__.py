"""The stores on DynamoDB, over one pynamodb connection and its botocore client."""
