"""A rehearsal: a small lender's months, settled against a bank and a network that misbehave, and audited every day."""
