# METADATA
# custom:
#   id: example.quotas
#   version: v1
#   systems: [api]
package example.quotas

used := sum([entry.cost | some entry in input.context.used; entry.subject == input.subject.id])

costs := {"read": 1, "write": 5}

total := used + object.get(costs, input.action.name, 10)

decision := {"effect": "allow", "reason": "in_quota", "obligations": [{"type": "quota", "parameters": {"left": 20 - total}}]} if total <= 20

decision := {"effect": "deny", "reason": "over_quota"} if total > 20
