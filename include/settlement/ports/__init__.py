"""What the stages need of the outside, as Protocols by subject, and the few records that they share with it.

Money is whole minor units; instants are aware and in UTC; `settlement_date` is a date of the policy's calendar.
"""
