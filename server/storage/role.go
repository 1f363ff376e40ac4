package storage

import "errors"

// Role is what an account may do on the server. The numbers are stored.
type Role uint8

const (
	RoleUser Role = 0
	// RoleAdmin may do everything that can be done from a client.
	RoleAdmin Role = 1
	// RoleModerator sees reports and bans users.
	RoleModerator Role = 2
)

// ErrRole: a text names no role.
var ErrRole = errors.New("a role is user, moderator or admin")

var roleNames = map[Role]string{RoleUser: "user", RoleModerator: "moderator", RoleAdmin: "admin"}

// ParseRole reads what String gives. ErrRole.
func ParseRole(s string) (Role, error) {
	for role, name := range roleNames {
		if name == s {
			return role, nil
		}
	}
	return 0, ErrRole
}

// Valid tells whether there is such a role.
func (r Role) Valid() bool { return roleNames[r] != "" }

func (r Role) String() string {
	if name, ok := roleNames[r]; ok {
		return name
	}
	return "unknown"
}

// Operates tells whether the role may call the operators' methods.
func (r Role) Operates() bool { return r == RoleAdmin || r == RoleModerator }

// MayBan tells whether the role may ban and unban accounts of another.
func (r Role) MayBan(other Role) bool {
	return r == RoleAdmin || r == RoleModerator && other == RoleUser
}
