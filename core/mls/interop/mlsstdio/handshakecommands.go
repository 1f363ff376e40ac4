package main

import (
	"fmt"

	"quicprochat/core/mls"
)

type messageResult struct {
	Message octets `json:"message"`
}

type proposeParams struct {
	Group      string      `json:"group"`
	Type       string      `json:"type"`
	KeyPackage octets      `json:"key_package"`
	Leaf       uint32      `json:"leaf"`
	PSK        octets      `json:"psk_id"`
	Epoch      uint64      `json:"epoch"`
	Extensions []extension `json:"extensions"`
	ReInit     *reInit     `json:"reinit"`
}

func (s *session) propose(p proposeParams) (messageResult, error) {
	g, err := s.groupOf(p.Group)
	if err != nil {
		return messageResult{}, err
	}
	defer g.keep()
	message, err := g.proposeAs(p)
	return messageResult{message}, err
}

func (g *group) proposeAs(p proposeParams) ([]byte, error) {
	switch p.Type {
	case "add":
		add, err := addProposal(p.KeyPackage)
		if err != nil {
			return nil, err
		}
		return g.Propose(add)
	case "remove":
		return g.Propose(mls.RemoveProposal(mls.LeafIndex(p.Leaf)))
	case "update":
		return g.ProposeUpdate(nil)
	case "psk":
		return g.Propose(mls.ExternalPSKProposal(p.PSK))
	case "resumption_psk":
		return g.Propose(mls.ResumptionPSKProposal(g.ID(), p.Epoch))
	case "reinit":
		if p.ReInit == nil {
			return nil, badRequest("reinit is missing")
		}
		return g.Propose(p.ReInit.proposal())
	case "group_context_extensions":
		return g.Propose(mls.GroupContextExtensionsProposal(toExtensions(p.Extensions)))
	case "self_remove":
		return g.ProposeSelfRemove()
	default:
		return nil, badRequest("no proposal has type %.40q", p.Type)
	}
}

type commitParams struct {
	Group      string       `json:"group"`
	Adds       []octets     `json:"adds"`
	Removes    []uint32     `json:"removes"`
	PSKs       []octets     `json:"psks"`
	Epochs     []uint64     `json:"resumption_psks"`
	Extensions *[]extension `json:"extensions"` // null leaves them as they are
	ReInit     *reInit      `json:"reinit"`
	NoPath     bool         `json:"no_path"`
	OmitTree   bool         `json:"omit_tree"` // from the Welcome
	AAD        octets       `json:"aad"`
}

func (g *group) proposals(p *commitParams) ([]mls.Proposal, error) {
	var list []mls.Proposal
	for _, kp := range p.Adds {
		add, err := addProposal(kp)
		if err != nil {
			return nil, err
		}
		list = append(list, add)
	}
	for _, leaf := range p.Removes {
		list = append(list, mls.RemoveProposal(mls.LeafIndex(leaf)))
	}
	for _, id := range p.PSKs {
		list = append(list, mls.ExternalPSKProposal(id))
	}
	for _, epoch := range p.Epochs {
		list = append(list, mls.ResumptionPSKProposal(g.ID(), epoch))
	}
	if p.ReInit != nil {
		list = append(list, p.ReInit.proposal())
	}
	if p.Extensions != nil {
		list = append(list, mls.GroupContextExtensionsProposal(toExtensions(*p.Extensions)))
	}
	return list, nil
}

type commitResult struct {
	Message octets      `json:"message"`
	Welcome octets      `json:"welcome,omitempty"`
	Tree    octets      `json:"tree,omitempty"` // where the Welcome is without it
	Commit  *commitInfo `json:"commit"`
}

func (s *session) commit(p commitParams) (commitResult, error) {
	g, err := s.groupOf(p.Group)
	if err != nil {
		return commitResult{}, err
	}
	list, err := g.proposals(&p)
	if err != nil {
		return commitResult{}, err
	}
	defer g.keep()
	staged, err := g.Commit(mls.CommitOptions{Proposals: list, AddOnly: p.NoPath, OmitTree: p.OmitTree, AAD: p.AAD})
	if err != nil {
		return commitResult{}, err
	}
	r := commitResult{Message: staged.Message, Welcome: staged.Welcome, Commit: describe(staged)}
	if p.OmitTree && r.Welcome != nil {
		if r.Tree, err = staged.RatchetTree(); err != nil {
			return commitResult{}, err
		}
	}
	return r, nil
}

// processResult is what a message is; Kind says which of the others is set.
type processResult struct {
	Kind        string           `json:"kind"`
	Application *applicationInfo `json:"application,omitempty"`
	Proposal    *proposalInfo    `json:"proposal,omitempty"`
	Commit      *commitInfo      `json:"commit,omitempty"`
}

type applicationInfo struct {
	Sender     uint32 `json:"sender"`
	Epoch      uint64 `json:"epoch"`
	Generation uint32 `json:"generation"`
	Data       octets `json:"data"`
	AAD        octets `json:"aad"`
}

type proposalInfo struct {
	Type   uint16 `json:"type"`
	From   uint8  `json:"from"` // the sender's type
	Sender uint32 `json:"sender"`
	Target uint32 `json:"target"`
}

type commitInfo struct {
	Epoch         uint64         `json:"epoch"` // that it ends
	Committer     uint32         `json:"committer"`
	External      bool           `json:"external"` // the committer joins by it
	AAD           octets         `json:"aad"`
	Added         []memberInfo   `json:"added"`
	Removed       []memberInfo   `json:"removed"`
	Updated       []memberInfo   `json:"updated"`
	Proposals     []proposalInfo `json:"proposals"`
	RemovesSelf   bool           `json:"removes_self"`
	Authenticator octets         `json:"epoch_authenticator"` // of the epoch that it begins
}

func describe(c *mls.StagedCommit) *commitInfo {
	info := &commitInfo{
		Epoch: c.Epoch, Committer: uint32(c.Committer), External: c.External, AAD: c.AAD, RemovesSelf: c.RemovesSelf(),
		Authenticator: c.EpochAuthenticator(), Proposals: []proposalInfo{},
		Added: membersOf(c.Added), Removed: membersOf(c.Removed), Updated: membersOf(c.Updated),
	}
	for _, p := range c.Proposals {
		info.Proposals = append(info.Proposals, proposalInfo{uint16(p.Kind), uint8(p.From), uint32(p.Sender), uint32(p.Target)})
	}
	return info
}

func membersOf(list []mls.Member) []memberInfo {
	out := make([]memberInfo, len(list))
	for i, m := range list {
		out[i] = memberOf(m)
	}
	return out
}

type processParams struct {
	Group   string `json:"group"`
	Message octets `json:"message"`
	Reject  bool   `json:"reject"` // a proposal is kept out of one's own commits
}

func (s *session) process(p processParams) (processResult, error) {
	g, err := s.groupOf(p.Group)
	if err != nil {
		return processResult{}, err
	}
	defer g.keep()
	result, err := g.Process(p.Message)
	if err != nil {
		return processResult{}, err
	}
	switch r := result.(type) {
	case *mls.Application:
		return processResult{Kind: "application", Application: &applicationInfo{
			uint32(r.Sender), r.Epoch, r.Generation, r.Data, r.AAD,
		}}, nil
	case *mls.ReceivedProposal:
		if p.Reject {
			g.Reject(r)
		}
		return processResult{Kind: "proposal", Proposal: &proposalInfo{
			uint16(r.Kind), uint8(r.From), uint32(r.Sender), uint32(r.Target),
		}}, nil
	case *mls.StagedCommit:
		g.staged = r
		return processResult{Kind: "commit", Commit: describe(r)}, nil
	default:
		return processResult{}, fmt.Errorf("process answers with a %T", r)
	}
}

// merge applies the commit that was processed last, else the own pending one.
func (s *session) merge(p groupParams) (groupState, error) {
	g, err := s.groupOf(p.Group)
	if err != nil {
		return groupState{}, err
	}
	defer g.keep()
	if g.staged != nil {
		err = g.Merge(g.staged)
		g.staged = nil
	} else {
		err = g.MergePending()
	}
	if err != nil {
		return groupState{}, err
	}
	return g.state(), nil
}

// discard gives up the commit that was processed last, else the own pending one.
func (s *session) discard(p groupParams) (groupState, error) {
	g, err := s.groupOf(p.Group)
	if err != nil {
		return groupState{}, err
	}
	defer g.keep()
	switch {
	case g.staged != nil:
		g.staged = nil
	case g.Pending() != nil:
		g.DiscardPending()
	default:
		return groupState{}, mls.ErrNoPending
	}
	return g.state(), nil
}
