package controller

import (
	"context"

	"quicprochat/core/client"
)

// Role is what the account may do on its server, as far as that is known.
func (m *Main) Role() client.Role { return m.role }

func (m *Main) askRole() {
	background(m.loop, func() (client.Role, error) {
		return m.session.MyRole(context.Background())
	}, func(role client.Role, err error) {
		if err != nil || role == m.role {
			return
		}
		m.role = role
		if m.OnRole != nil {
			m.OnRole()
		}
	})
}
