package mls

import "slices"

// externalInitLabel is the exporter context of the external init secret (RFC 9420 §8.3).
const externalInitLabel = labelPrefix + "external init secret"

// newExternalInit makes the ExternalInit proposal (§12.1.6) to a group's external
// key, and the init secret that stands in for the one of the group's present epoch.
func (s *suite) newExternalInit(externalPub []byte) (*Proposal, []byte, error) {
	kemOutput, secret, err := s.kem.exportTo(externalPub, externalInitLabel, s.nh)
	return &Proposal{typ: ProposalExternalInit, kemOutput: kemOutput}, secret, err
}

// initSecret returns a copy of the init secret that the commit builds on.
func (g *Group) initSecret(out *outcome) ([]byte, error) {
	if out.external == nil {
		return slices.Clone(g.cur.secrets.init), nil
	}
	private, _, err := g.suite.kem.deriveKeyPair(g.cur.secrets.external)
	if err != nil {
		return nil, err
	}
	defer clear(private)
	return g.suite.kem.exportFrom(private, out.external.kemOutput, externalInitLabel, g.suite.nh)
}
