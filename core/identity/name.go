package identity

import "errors"

// ErrName says that a name breaks the rules, which its text tells. The person
// picks another one.
var ErrName = errors.New("a name has 2 to 32 characters: small letters a–z, digits, and . - _ between them")

const (
	minName = 2
	maxName = 32
)

// CheckName returns ErrName unless name has 2 to 32 of a–z, 0–9, '.', '-' and
// '_', and starts and ends with a letter or digit. It does not fold case: the
// caller may, before it asks.
func CheckName(name string) error {
	if len(name) < minName || len(name) > maxName {
		return ErrName
	}
	for i := range len(name) {
		edge := i == 0 || i == len(name)-1
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case !edge && (c == '.' || c == '-' || c == '_'):
		default:
			return ErrName
		}
	}
	return nil
}
