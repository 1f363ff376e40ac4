package mls

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// passiveVector is a member that joins by a Welcome and then follows the
// commits of others.
type passiveVector struct {
	CipherSuite   Suite           `json:"cipher_suite"`
	ExternalPSKs  []passivePSK    `json:"external_psks"`
	KeyPackage    hexBytes        `json:"key_package"`
	Signature     hexBytes        `json:"signature_priv"`
	Encryption    hexBytes        `json:"encryption_priv"`
	Init          hexBytes        `json:"init_priv"`
	Welcome       hexBytes        `json:"welcome"`
	Tree          hexBytes        `json:"ratchet_tree"`
	Authenticator hexBytes        `json:"initial_epoch_authenticator"`
	Epochs        []passiveCommit `json:"epochs"`
}

type passivePSK struct {
	ID  hexBytes `json:"psk_id"`
	PSK hexBytes `json:"psk"`
}

type passiveCommit struct {
	Proposals     []hexBytes `json:"proposals"`
	Commit        hexBytes   `json:"commit"`
	Authenticator hexBytes   `json:"epoch_authenticator"`
}

// history is what passive clients have been through: the groups and resumption
// PSKs that a later case may go on from.
type history struct {
	groups     map[string][]*Group
	resumption map[string][]byte // by group id and epoch
}

func newHistory() *history {
	return &history{groups: map[string][]*Group{}, resumption: map[string][]byte{}}
}

func resumptionKey(groupID []byte, epoch uint64) string { return fmt.Sprintf("%x/%d", groupID, epoch) }

func (h *history) remember(g *Group) {
	if secret, ok := g.ResumptionPSK(g.Epoch()); ok {
		h.resumption[resumptionKey(g.ID(), g.Epoch())] = secret
	}
}

// runPassiveClients follows one case after the other. One that goes on from a group that
// has not been seen waits for the others.
func runPassiveClients(t *testing.T, h *history, cases []vectorCase) {
	for last := false; len(cases) > 0; {
		var waiting []vectorCase
		for _, c := range cases {
			c.follow(t, func() {
				var v passiveVector
				c.decode(t, &v)
				g, err := v.join(h, c.suite)
				var successor *SuccessorError
				switch {
				case !last && (errors.As(err, &successor) || errors.Is(err, ErrMissingPSK)):
					waiting = append(waiting, c)
				case err != nil:
					t.Errorf("joining: %v", err)
				default:
					v.follow(t, h, g)
				}
			})
		}
		last = len(waiting) == len(cases)
		cases = waiting
	}
}

func (v *passiveVector) config(h *history) Config {
	return Config{
		Auth: anyone{}, Handshakes: HandshakesMixed,
		ExternalPSK: func(id []byte) ([]byte, bool) {
			i := slices.IndexFunc(v.ExternalPSKs, func(p passivePSK) bool { return bytes.Equal(p.ID, id) })
			if i < 0 {
				return nil, false
			}
			return v.ExternalPSKs[i].PSK, true
		},
		ResumptionPSK: func(groupID []byte, epoch uint64) ([]byte, bool) {
			secret, ok := h.resumption[resumptionKey(groupID, epoch)]
			return secret, ok
		},
	}
}

func (v *passiveVector) join(h *history, s *suite) (*Group, error) {
	kp, err := unmarshal(v.KeyPackage, readMessage)
	if err != nil {
		return nil, err
	}
	if kp.keyPackage == nil {
		return nil, errors.New("key_package is another message")
	}
	bundle := &KeyPackageBundle{kp: kp.keyPackage, initPrivate: v.Init, encryptPrivate: v.Encryption}
	signer, err := ParseSigner(s.id, v.Signature)
	if err != nil {
		return nil, err
	}
	tree := []byte(v.Tree)
	if len(tree) == 0 {
		tree = nil
	}
	g, err := Join(v.config(h), signer, bundle, v.Welcome, tree)
	var successor *SuccessorError
	if !errors.As(err, &successor) {
		return g, err
	}
	for _, old := range h.groups[string(successor.GroupID)] {
		if g, joinErr := old.JoinSuccessor(signer, bundle, v.Welcome, tree); joinErr == nil {
			return g, nil
		} else {
			err = errors.Join(err, joinErr)
		}
	}
	return nil, err
}

// follow processes, starting each epoch from the records of the one before.
func (v *passiveVector) follow(t *testing.T, h *history, g *Group) {
	equal(t, "initial epoch authenticator", g.EpochAuthenticator(), v.Authenticator)
	h.remember(g)
	store := records{}
	cfg, signer := g.cfg, g.signer
	for k, e := range v.Epochs {
		if !g.Active() || g.ReInit() != nil {
			t.Errorf("epoch %d: the group is over, and there are %d commits left", k, len(v.Epochs)-k)
			break
		}
		store.apply(g.TakeChanges())
		var err error
		if g, err = Load(cfg, signer, store.each); err != nil {
			t.Fatalf("epoch %d: %v", k, err)
		}
		for i, p := range e.Proposals {
			if _, err := g.Process(p); err != nil {
				t.Fatalf("epoch %d: proposal %d: %v", k, i, err)
			}
		}
		r, err := g.Process(e.Commit)
		if err != nil {
			t.Fatalf("epoch %d: commit: %v", k, err)
		}
		staged, ok := r.(*StagedCommit)
		if !ok {
			t.Fatalf("epoch %d: commit is a %T", k, r)
		}
		if err := g.Merge(staged); err != nil {
			t.Fatalf("epoch %d: %v", k, err)
		}
		h.remember(g)
		if g.Active() {
			equal(t, fmt.Sprintf("epoch authenticator %d", k), g.EpochAuthenticator(), e.Authenticator)
		}
	}
	h.groups[string(g.ID())] = append(h.groups[string(g.ID())], g)
}

// records is a store of a group's records in memory.
type records map[string][]byte

func (r records) apply(changes []Change) {
	for _, c := range changes {
		if c.Value == nil {
			delete(r, string(c.Key))
		} else {
			r[string(c.Key)] = c.Value
		}
	}
}

func (r records) each(yield func(key, value []byte) bool) {
	for k, v := range r {
		if !yield([]byte(k), bytes.Clone(v)) {
			return
		}
	}
}
