package main

import (
	"errors"
	"slices"
	"strings"

	"quicprochat/core/mls"
)

type memberInfo struct {
	Index        uint32 `json:"index"`
	Identity     octets `json:"identity"`
	SignatureKey octets `json:"signature_key"`
}

// groupState is what may be known of a group in its present epoch.
type groupState struct {
	GroupID       octets       `json:"group_id"`
	Suite         uint16       `json:"suite"`
	Epoch         uint64       `json:"epoch"`
	Own           uint32       `json:"own"`
	Active        bool         `json:"active"`
	Authenticator octets       `json:"epoch_authenticator"` // empty once removed
	Members       []memberInfo `json:"members"`
	Extensions    []extension  `json:"extensions"`
	Pending       bool         `json:"pending"` // a commit waits for merge or discard
	ReInit        *reInit      `json:"reinit"`  // once it has been re-initialised
}

func (g *group) state() groupState {
	s := groupState{
		GroupID: g.ID(), Suite: uint16(g.Suite()), Epoch: g.Epoch(), Own: uint32(g.OwnIndex()), Active: g.Active(),
		Authenticator: g.EpochAuthenticator(), Members: []memberInfo{}, Extensions: fromExtensions(g.GroupContextExtensions()),
		Pending: g.Pending() != nil || g.staged != nil, ReInit: reInitOf(g.Group),
	}
	for m := range g.Members() {
		s.Members = append(s.Members, memberOf(m))
	}
	return s
}

func memberOf(m mls.Member) memberInfo {
	return memberInfo{uint32(m.Index), m.Credential.Identity, m.SignatureKey}
}

type createParams struct {
	Client     string      `json:"client"`
	Group      string      `json:"group"`
	GroupID    octets      `json:"group_id"`
	Extensions []extension `json:"extensions"`
}

func (s *session) create(p createParams) (groupState, error) {
	c, err := s.clientOf(p.Client)
	if err != nil {
		return groupState{}, err
	}
	if err := s.mayName(p.Group); err != nil {
		return groupState{}, err
	}
	g, err := mls.Create(c.config(), mls.CreateParams{
		GroupID: p.GroupID, Suite: c.suite, Credential: mls.BasicCredential(c.identity), Signer: c.signer,
		GroupContextExtensions: toExtensions(p.Extensions), ExtraCapabilities: c.capabilities,
	})
	if err != nil {
		return groupState{}, err
	}
	return s.admit(p.Group, c, g), nil
}

type joinParams struct {
	Client  string `json:"client"`
	Group   string `json:"group"`
	Welcome octets `json:"welcome"`
	Tree    octets `json:"tree"`
	From    string `json:"from"` // the group that the new one follows from
}

// join tries the client's KeyPackages in turn; the one that fits is used up.
func (s *session) join(p joinParams) (groupState, error) {
	c, err := s.clientOf(p.Client)
	if err != nil {
		return groupState{}, err
	}
	if err := s.mayName(p.Group); err != nil {
		return groupState{}, err
	}
	enter := func(b *mls.KeyPackageBundle) (*mls.Group, error) {
		return mls.Join(c.config(), c.signer, b, p.Welcome, p.Tree)
	}
	if p.From != "" {
		old, err := s.groupOf(p.From)
		if err != nil {
			return groupState{}, err
		}
		enter = func(b *mls.KeyPackageBundle) (*mls.Group, error) {
			return old.JoinSuccessor(c.signer, b, p.Welcome, p.Tree)
		}
	}
	for i, b := range c.bundles {
		g, err := enter(b)
		if errors.Is(err, mls.ErrNoKeyPackage) {
			continue
		}
		if err != nil {
			return groupState{}, err
		}
		if !b.Public().LastResort() {
			b.Destroy()
			c.bundles = slices.Delete(c.bundles, i, i+1)
		}
		return s.admit(p.Group, c, g), nil
	}
	return groupState{}, mls.ErrNoKeyPackage
}

type groupParams struct {
	Group string `json:"group"`
}

func (s *session) info(p groupParams) (groupState, error) {
	g, err := s.groupOf(p.Group)
	if err != nil {
		return groupState{}, err
	}
	return g.state(), nil
}

// record is a record of a group: its key and its value.
type record [2]octets

type saveResult struct {
	Records []record `json:"records"`
}

func (s *session) save(p groupParams) (saveResult, error) {
	g, err := s.groupOf(p.Group)
	if err != nil {
		return saveResult{}, err
	}
	r := saveResult{Records: []record{}}
	for k, v := range g.records {
		r.Records = append(r.Records, record{octets(k), v})
	}
	slices.SortFunc(r.Records, func(a, b record) int { return strings.Compare(string(a[0]), string(b[0])) })
	return r, nil
}

type restoreParams struct {
	Client  string   `json:"client"`
	Group   string   `json:"group"`
	Records []record `json:"records"`
}

func (s *session) restore(p restoreParams) (groupState, error) {
	c, err := s.clientOf(p.Client)
	if err != nil {
		return groupState{}, err
	}
	if err := s.mayName(p.Group); err != nil {
		return groupState{}, err
	}
	loaded := &group{client: c, records: map[string][]byte{}}
	for _, r := range p.Records {
		loaded.records[string(r[0])] = r[1]
	}
	loaded.Group, err = mls.Load(c.config(), c.signer, func(yield func(key, value []byte) bool) {
		for k, v := range loaded.records {
			if !yield([]byte(k), v) {
				return
			}
		}
	})
	if err != nil {
		return groupState{}, err
	}
	s.groups[p.Group] = loaded
	return loaded.state(), nil
}

type dropParams struct {
	Group  string `json:"group"`
	Client string `json:"client"`
}

// drop forgets a group or a client.
func (s *session) drop(p dropParams) (none, error) {
	if (p.Group == "") == (p.Client == "") {
		return none{}, badRequest("drop takes either a group or a client")
	}
	if p.Client != "" {
		_, err := s.clientOf(p.Client)
		delete(s.clients, p.Client)
		return none{}, err
	}
	_, err := s.groupOf(p.Group)
	delete(s.groups, p.Group)
	return none{}, err
}
