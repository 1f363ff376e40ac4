package main

import "quicprochat/core/mls"

type groupInfoParams struct {
	Group    string `json:"group"`
	OmitTree bool   `json:"omit_tree"`
}

type groupInfoResult struct {
	GroupInfo octets `json:"group_info"`
	Tree      octets `json:"tree,omitempty"` // where the GroupInfo is without it
}

func (s *session) groupInfo(p groupInfoParams) (groupInfoResult, error) {
	g, err := s.groupOf(p.Group)
	if err != nil {
		return groupInfoResult{}, err
	}
	info, err := g.GroupInfo(!p.OmitTree)
	if err != nil {
		return groupInfoResult{}, err
	}
	r := groupInfoResult{GroupInfo: info}
	if p.OmitTree {
		r.Tree = g.RatchetTree()
	}
	return r, nil
}

type externalJoinParams struct {
	Client    string   `json:"client"`
	Group     string   `json:"group"`
	GroupInfo octets   `json:"group_info"`
	Tree      octets   `json:"tree"`
	Replace   *uint32  `json:"replace"` // the own earlier leaf
	PSKs      []octets `json:"psks"`
	AAD       octets   `json:"aad"`
}

type externalJoinResult struct {
	Message octets     `json:"message"`
	State   groupState `json:"state"`
}

// externalJoin enters a group; if the commit is refused, the driver drops it.
func (s *session) externalJoin(p externalJoinParams) (externalJoinResult, error) {
	c, err := s.clientOf(p.Client)
	if err != nil {
		return externalJoinResult{}, err
	}
	if err := s.mayName(p.Group); err != nil {
		return externalJoinResult{}, err
	}
	o := mls.ExternalJoinOptions{
		GroupInfo: p.GroupInfo, Tree: p.Tree, Signer: c.signer, Credential: mls.BasicCredential(c.identity),
		ExtraCapabilities: c.capabilities, AAD: p.AAD,
	}
	for _, id := range p.PSKs {
		o.PSKs = append(o.PSKs, mls.ExternalPSKProposal(id))
	}
	if p.Replace != nil {
		leaf := mls.LeafIndex(*p.Replace)
		o.Replace = &leaf
	}
	g, message, err := mls.JoinByCommit(c.config(), o)
	if err != nil {
		return externalJoinResult{}, err
	}
	return externalJoinResult{message, s.admit(p.Group, c, g)}, nil
}
