package main

import "quicprochat/core/mls"

// reInit is the parameters of the group that takes the place of another.
type reInit struct {
	GroupID    octets      `json:"group_id"`
	Suite      uint16      `json:"suite"`
	Extensions []extension `json:"extensions"`
}

func (r *reInit) proposal() mls.Proposal {
	return mls.ReInitProposal(mls.ReInit{GroupID: r.GroupID, Suite: mls.Suite(r.Suite), Extensions: toExtensions(r.Extensions)})
}

func reInitOf(g *mls.Group) *reInit {
	r := g.ReInit()
	if r == nil {
		return nil
	}
	return &reInit{r.GroupID, uint16(r.Suite), fromExtensions(r.Extensions)}
}

type successorParams struct {
	From        string      `json:"from"` // the old group
	Client      string      `json:"client"`
	Group       string      `json:"group"`    // the new one
	GroupID     octets      `json:"group_id"` // of a branch; without it the re-initialised group's successor is meant
	Extensions  []extension `json:"extensions"`
	KeyPackages []octets    `json:"key_packages"`
	NoPath      bool        `json:"no_path"`
}

// successor makes a group that follows from another one, with its first commit pending.
func (s *session) successor(p successorParams) (commitResult, error) {
	old, err := s.groupOf(p.From)
	if err != nil {
		return commitResult{}, err
	}
	c, err := s.clientOf(p.Client)
	if err != nil {
		return commitResult{}, err
	}
	if err := s.mayName(p.Group); err != nil {
		return commitResult{}, err
	}
	o := mls.SuccessorOptions{
		Credential: mls.BasicCredential(c.identity), Signer: c.signer, ExtraCapabilities: c.capabilities, AddOnly: p.NoPath,
	}
	for _, message := range p.KeyPackages {
		kp, err := bareKeyPackage(message)
		if err != nil {
			return commitResult{}, err
		}
		o.KeyPackages = append(o.KeyPackages, kp)
	}
	var g *mls.Group
	var staged *mls.StagedCommit
	if p.GroupID != nil {
		g, staged, err = old.Branch(p.GroupID, toExtensions(p.Extensions), o)
	} else {
		g, staged, err = old.Reinitialize(o)
	}
	if err != nil {
		return commitResult{}, err
	}
	s.admit(p.Group, c, g)
	return commitResult{Message: staged.Message, Welcome: staged.Welcome, Commit: describe(staged)}, nil
}
