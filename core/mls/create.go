package mls

import (
	"bytes"
	"crypto"
	"errors"
	"time"
)

// CreateParams is what a new group starts with.
type CreateParams struct {
	GroupID                []byte // unique; the caller's choice
	Suite                  Suite
	Credential             Credential
	Signer                 crypto.Signer // as in KeyPackageOptions
	LeafExtensions         []Extension
	GroupContextExtensions []Extension
	ExtraCapabilities      Capabilities
}

// creatorLifetime bounds a creator's first leaf, which its first commit with a
// path replaces.
const creatorLifetime = 365 * 24 * time.Hour

// Create makes a group with oneself as the only member, at epoch 0 (RFC 9420 §11).
func Create(cfg Config, p CreateParams) (*Group, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return cfg.create(p)
}

func (c Config) create(p CreateParams) (*Group, error) {
	s, err := suiteOf(p.Suite)
	if err != nil {
		return nil, err
	}
	if len(p.GroupID) == 0 {
		return nil, errors.New("mls: group id is empty")
	}
	if err := checkContextExtensions(p.GroupContextExtensions); err != nil {
		return nil, err
	}
	if err := c.authenticateExternalSenders(p.GroupID, nil, p.GroupContextExtensions); err != nil {
		return nil, err
	}
	leaf, private, err := newLeaf(s, p.Signer, p.Credential, p.LeafExtensions,
		ownCapabilities(p.ExtraCapabilities, p.LeafExtensions, p.GroupContextExtensions, p.Credential.Type))
	if err != nil {
		return nil, err
	}
	now := c.now()
	leaf.Lifetime = Lifetime{
		NotBefore: uint64(max(0, now.Add(-time.Hour).Unix())), NotAfter: uint64(max(0, now.Add(creatorLifetime).Unix())),
	}
	if err := leaf.sign(s, p.Signer, nil, 0); err != nil {
		return nil, err
	}
	tree := newTree(s, 1)
	tree.add(leaf)
	tree.census.fold()
	if err := tree.census.supports(p.GroupContextExtensions); err != nil {
		return nil, err
	}

	epochSecret := s.randomSecret()
	defer clear(epochSecret)
	e := &epoch{tree: tree, secrets: s.secretsOf(epochSecret), keys: privateKeys{0: private}}
	e.context = groupContext{
		suite: s.id, groupID: bytes.Clone(p.GroupID), treeHash: tree.rootHash(),
		extensions: cloneExtensions(p.GroupContextExtensions),
	}
	e.contextRaw = marshal(&e.context)
	e.confirmationTag = s.mac(e.secrets.confirmation, nil)
	e.interim = s.interimHash(nil, e.confirmationTag)
	return newGroup(c, s, p.Signer, 0, e), nil
}

// newGroup starts a Group at an epoch, all of it yet to be recorded.
func newGroup(cfg Config, s *suite, signer crypto.Signer, own LeafIndex, e *epoch) *Group {
	g := &Group{cfg: cfg, suite: s, signer: signer, own: own, log: changeLog{}}
	g.enter(e, newTree(s, 1), nil)
	g.recordGroup()
	return g
}
