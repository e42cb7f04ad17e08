decision := {"effect": "allow", "reason": to_number("one")} with input as {"a": `raw # [[[`}
decision := {"effect": "allow", "reason": 1 / 0}
x17 := x16 * x16
x16 := 123456789012345678901234567890e10
