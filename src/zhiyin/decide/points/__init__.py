"""Decision points: where a choice is asked for, what can be chosen, and the policy that chooses."""
