"""From files to a Dataset: obtaining, checking, decoding, auditing and splitting the pictures."""
