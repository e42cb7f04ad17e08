import rego.v1
decision := {"effect": "allow", "reason": f(input.action.name)} if {
	every role in input.subject.properties.roles { startswith(role, "a") }
} else := {"effect": "deny", "reason": sprintf("%s-%d", [input.subject.id, count(numbers.range(1, 5))])} if {
	not net.cidr_contains("10.0.0.0/8", input.context.at)
} else := {"effect": "deny", "reason": "none", "obligations": [{"type": "t", "parameters": {k: v | some k, v in input.resource}}]}
f(x) := concat("", [x, "_"]) if regex.match("^[a-z]+$", x)
f(x) := upper(x) if not regex.match("^[a-z]+$", x)
