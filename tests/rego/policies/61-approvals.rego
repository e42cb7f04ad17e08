# METADATA
# custom:
#   id: example.approvals
#   version: v1
#   systems: [payments]
package example.approvals

amount := input.context.amount

decision := {"effect": "allow", "reason": "small"} if amount < 100

decision := {"effect": "requires_approval", "reason": "medium", "approval_level": 1} if {
	amount >= 100
	amount < 10000
}

decision := {"effect": "requires_approval", "reason": "large", "approval_level": level} if {
	amount >= 10000
	level := min([5, 2 + floor(amount / 100000)])
}
