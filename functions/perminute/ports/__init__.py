"""What the use cases need from outside, in our words.

Two adapters stand behind each port, the DynamoDB one and an in-memory twin, and one contract
suite holds both to what is said here.
"""
