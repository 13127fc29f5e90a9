"""What people are told: typed events by subject, who hears of them, and what must not be said in them."""
