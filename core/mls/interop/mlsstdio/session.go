package main

import (
	"crypto"
	"fmt"

	"quicprochat/core/mls"
)

// session is what one run of the program holds, by the handles that the driver has chosen.
type session struct {
	clients map[string]*client
	groups  map[string]*group
}

func newSession() *session {
	return &session{clients: map[string]*client{}, groups: map[string]*group{}}
}

// client is somebody who may be a member of groups of one suite.
type client struct {
	suite        mls.Suite
	identity     []byte
	signer       crypto.Signer
	handshakes   mls.HandshakePolicy
	capabilities mls.Capabilities
	bundles      []*mls.KeyPackageBundle // that no Welcome has used yet
	psks         map[string][]byte
}

func (c *client) config() mls.Config {
	return mls.Config{Auth: anybody{}, Handshakes: c.handshakes, ExternalPSK: func(id []byte) ([]byte, bool) {
		secret, ok := c.psks[string(id)]
		return secret, ok
	}}
}

// anybody takes every credential to be genuine.
type anybody struct{}

func (anybody) ValidateLeaf(mls.LeafContext, *mls.LeafNode) error       { return nil }
func (anybody) ValidateExternalSender([]byte, mls.ExternalSender) error { return nil }

// group is a member's view of a group, with its records as a vault would have them.
type group struct {
	*mls.Group
	client  *client
	staged  *mls.StagedCommit // of another member, to be merged or discarded
	records map[string][]byte
}

// keep stores what an operation has changed.
func (g *group) keep() {
	for _, c := range g.TakeChanges() {
		if c.Value == nil {
			delete(g.records, string(c.Key))
		} else {
			g.records[string(c.Key)] = c.Value
		}
	}
}

func (s *session) clientOf(handle string) (*client, error) {
	if c, ok := s.clients[handle]; ok {
		return c, nil
	}
	return nil, &protocolError{"unknown-handle", fmt.Sprintf("there is no client %.40q", handle)}
}

func (s *session) groupOf(handle string) (*group, error) {
	if g, ok := s.groups[handle]; ok {
		return g, nil
	}
	return nil, &protocolError{"unknown-handle", fmt.Sprintf("there is no group %.40q", handle)}
}

// mayName says whether a handle can be given to a new group.
func (s *session) mayName(handle string) error {
	if handle == "" {
		return badRequest("group is missing")
	}
	if _, taken := s.groups[handle]; taken {
		return &protocolError{"handle-taken", fmt.Sprintf("there is a group %.40q already", handle)}
	}
	return nil
}

// admit gives a handle to a group that a client has entered.
func (s *session) admit(handle string, c *client, g *mls.Group) groupState {
	entered := &group{Group: g, client: c, records: map[string][]byte{}}
	entered.keep()
	s.groups[handle] = entered
	return entered.state()
}
