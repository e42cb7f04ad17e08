# METADATA
# custom:
#   id: example.networks
#   version: v1
#   systems: [vault]
package example.networks

octets := [to_number(octet) | some octet in split(input.context.address, ".")]

inside if octets[0] == 10

inside if {
	array.slice(octets, 0, 2) == [192, 168]
	octets[2] >= 1
	octets[2] < 2
}

decision := {"effect": "allow", "reason": "inside"} if inside

decision := {"effect": "deny", "reason": "outside"} if not inside
