package mls

import (
	"bytes"
	"crypto"
	"fmt"
	"slices"
)

// Join enters a group by a Welcome (an MLSMessage) that answers the bundle's
// KeyPackage, and validates everything it says (RFC 9420 §12.4.3.1). tree is
// the ratchet tree where the Welcome does not carry it, else nil. That no group
// of this id exists already is the caller's to check, and to destroy the bundle
// once the group is stored, unless it is a last-resort one.
// ErrNoKeyPackage, ErrDecrypt, ErrNoTree, ErrSigner, ErrMissingPSK, *ValidationError …;
// *SuccessorError where it is for JoinSuccessor.
func Join(cfg Config, signer crypto.Signer, bundle *KeyPackageBundle, welcomeMessage, tree []byte) (*Group, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return cfg.join(nil, signer, bundle, welcomeMessage, tree)
}

// join enters a group, which is to be the successor of old where that is not nil.
func (c Config) join(old *Group, signer crypto.Signer, bundle *KeyPackageBundle, welcomeMessage, tree []byte) (*Group, error) {
	w, s, err := readWelcomeFor(bundle, welcomeMessage)
	if err != nil {
		return nil, err
	}
	if err := s.checkSigner(signer, bundle.kp.leaf); err != nil {
		return nil, err
	}
	secrets, err := w.openSecrets(s, bundle.kp.Ref(), bundle.initPrivate)
	if err != nil {
		return nil, err
	}
	defer clear(secrets.joinerSecret)
	defer clear(secrets.pathSecret)
	j, link, err := c.welcomeJoiner(s, secrets, old)
	if err != nil {
		return nil, err
	}
	defer j.wipe()
	info, err := w.openGroupInfo(s, j.welcomeSecret)
	if err != nil {
		return nil, err
	}
	e := &epoch{context: info.context, contextRaw: marshal(&info.context), confirmationTag: info.confirmationTag}
	if e.tree, err = c.joinTree(s, info, bytes.Clone(tree)); err != nil {
		return nil, err
	}
	if old != nil {
		if err := old.checkSuccessor(link, &e.context, e.tree); err != nil {
			return nil, err
		}
	}
	own, err := e.tree.find(bundle.kp.leaf)
	if err != nil {
		return nil, err
	}
	if err := e.joinKeys(own, info.signer, bundle, secrets.pathSecret); err != nil {
		return nil, err
	}
	e.secrets = s.epochOf(j, e.contextRaw)
	if !s.verifyMAC(e.secrets.confirmation, e.context.confirmedTranscriptHash, e.confirmationTag) {
		e.keys.wipe()
		e.secrets.wipe()
		return nil, fmt.Errorf("%w: confirmation tag", ErrInvalidSignature)
	}
	e.interim = s.interimHash(e.context.confirmedTranscriptHash, e.confirmationTag)
	return newGroup(c, s, signer, own, e), nil
}

// readWelcomeFor decodes a Welcome of the suite of the bundle.
func readWelcomeFor(bundle *KeyPackageBundle, welcomeMessage []byte) (*welcome, *suite, error) {
	m, err := unmarshal(bytes.Clone(welcomeMessage), readMessage)
	if err != nil {
		return nil, nil, err
	}
	if m.welcome == nil {
		return nil, nil, fmt.Errorf("%w: not a Welcome", ErrUnsupported)
	}
	s, err := suiteOf(bundle.kp.suite)
	if err != nil {
		return nil, nil, err
	}
	if m.welcome.suite != s.id {
		return nil, nil, invalid("12.4.3.1", "welcome is for %v, the key package for %v", m.welcome.suite, s.id)
	}
	return m.welcome, s, nil
}

// welcomeJoiner mixes the PSKs into the joiner secret; link is the one that ties the
// group to old.
func (c *Config) welcomeJoiner(s *suite, secrets *groupSecrets, old *Group) (j joiner, link *pskID, err error) {
	pskSecret, link, err := c.joinPSKs(s, secrets.psks, old)
	if err != nil {
		return joiner{}, nil, err
	}
	defer clear(pskSecret)
	if len(secrets.joinerSecret) != s.nh {
		return joiner{}, nil, invalid("8", "joiner secret of %d bytes", len(secrets.joinerSecret))
	}
	return s.joinerFrom(secrets.joinerSecret, pskSecret), link, nil
}

// joinTree takes the ratchet tree of a GroupInfo, or the one given, and
// validates both against each other.
func (c *Config) joinTree(s *suite, info *groupInfo, given []byte) (*ratchetTree, error) {
	if info.context.suite != s.id {
		return nil, invalid("12.4.3.1", "group is of %v instead of %v", info.context.suite, s.id)
	}
	if err := checkExtensions(info.extensions); err != nil {
		return nil, err
	}
	if err := checkContextExtensions(info.context.extensions); err != nil {
		return nil, err
	}
	if data, ok := findExtension(info.extensions, ExtRatchetTree); ok {
		given = data
	}
	if given == nil {
		return nil, ErrNoTree
	}
	t, err := parseTree(s, given)
	if err != nil {
		return nil, err
	}
	signer := t.leaf(info.signer)
	if signer == nil {
		return nil, invalid("12.4.3.1", "signer %d of the group info is blank", info.signer)
	}
	if !info.verify(s, signer.SignatureKey) {
		return nil, fmt.Errorf("%w: group info", ErrInvalidSignature)
	}
	if !bytes.Equal(t.rootHash(), info.context.treeHash) {
		return nil, invalid("12.4.3.1", "tree hash does not fit the ratchet tree")
	}
	if err := t.validate(info.context.groupID); err != nil {
		return nil, err
	}
	if err := t.census.supports(info.context.extensions); err != nil {
		return nil, err
	}
	if err := c.authenticateExternalSenders(info.context.groupID, nil, info.context.extensions); err != nil {
		return nil, err
	}
	t.members(func(i LeafIndex, leaf *LeafNode) bool {
		err = c.authenticate(info.context.groupID, leaf, i, nil)
		return err == nil
	})
	return t, err
}

// find returns the place of the leaf of one's own KeyPackage.
func (t *ratchetTree) find(leaf *LeafNode) (LeafIndex, error) {
	found := -1
	t.members(func(i LeafIndex, l *LeafNode) bool {
		if bytes.Equal(l.raw, leaf.raw) {
			found = int(i)
		}
		return found < 0
	})
	if found < 0 {
		return 0, invalid("12.4.3.1", "own leaf is not in the ratchet tree")
	}
	return LeafIndex(found), nil
}

// joinKeys sets the private keys a new member has: its leaf's, and those that
// follow from the path secret.
func (e *epoch) joinKeys(own, signer LeafIndex, bundle *KeyPackageBundle, pathSecret []byte) error {
	if own == signer {
		return invalid("12.4.3.1", "own leaf signed the group info")
	}
	e.keys = privateKeys{}
	if pathSecret != nil {
		steps := e.tree.filteredPath(signer)
		k := slices.IndexFunc(steps, func(s pathStep) bool { return s.node.covers(own) })
		if k < 0 {
			return invalid("12.4.3.1", "path secret for no node of the tree")
		}
		derived, commitSecret, err := e.tree.deriveUp(steps[k:], slices.Clone(pathSecret))
		if err != nil {
			return err
		}
		clear(commitSecret)
		e.keys = derived
	}
	e.keys[own.node()] = slices.Clone(bundle.encryptPrivate)
	if err := e.checkJoinKeys(own); err != nil {
		e.keys.wipe()
		return err
	}
	return nil
}

// checkJoinKeys refuses to join without the key of a node above that does not have one's
// own leaf as unmerged: others would seal to that key alone, and this member could
// follow none of their commits.
func (e *epoch) checkJoinKeys(own LeafIndex) error {
	root := e.tree.root()
	for x := own.node(); x != root; {
		x = x.parent()
		p := e.tree.node(x).parent
		if p == nil || e.keys[x] != nil {
			continue
		}
		if _, unmerged := slices.BinarySearch(p.unmerged, own); !unmerged {
			return invalid("12.4.3.1", "no path secret for node %d", x)
		}
	}
	return nil
}
