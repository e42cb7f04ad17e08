# METADATA
# custom:
#   id: example.hours
#   version: v1
#   systems: [deploys]
package example.hours

day := substring(input.context.at, 0, 3)

hour := to_number(trim_left(split(substring(input.context.at, 4, -1), ":")[0], "0"))

decision := {"effect": "deny", "reason": "weekend"} if day in {"Sat", "Sun"}

else := {"effect": "allow", "reason": "working_hours"} if {
	hour >= 8
	hour < 17
}

else := {"effect": "requires_approval", "reason": "late", "approval_level": 2}
