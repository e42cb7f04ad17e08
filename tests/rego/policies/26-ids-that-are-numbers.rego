package countersign.authz

id := to_number(split(input.path, "/")[2])

allow if id < 1000

allow if id in [5000, 6000.0]

reason := "large" if id >= 1000
