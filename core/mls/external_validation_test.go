package mls

import (
	"bytes"
	"crypto"
	"errors"
	"slices"
	"testing"
)

// externalForgery is an external commit that its author may falsify before it is signed.
type externalForgery struct {
	g       *Group // as the joiner sees it
	c       *commit
	out     *outcome
	path    *newPath
	content *authenticatedContent
	signer  crypto.Signer
}

// forgeExternal makes an external commit past all checks on the sending side.
func (p *peer) forgeExternal(o ExternalJoinOptions, caps Capabilities, edit func(*externalForgery)) []byte {
	p.t.Helper()
	must := func(err error) {
		if err != nil {
			p.t.Fatal(err)
		}
	}
	o = p.joining(o)
	cfg, err := p.cfg.withDefaults()
	must(err)
	g, pub, err := observe(cfg, o)
	must(err)
	init, secret, err := g.suite.newExternalInit(pub)
	must(err)
	list, err := g.joinProposals(init, o)
	must(err)
	out, err := g.apply(sender{typ: SenderNewMemberCommit}, list)
	must(err)
	leaf, _, err := newLeaf(g.suite, o.Signer, o.Credential, nil, ownCapabilities(caps, nil, nil, CredentialBasic))
	must(err)
	path, err := g.pathOf(out, leaf)
	must(err)
	f := &externalForgery{g: g, out: out, path: path, signer: p.signer}
	f.c = &commit{proposals: proposalsOrRefs(list), path: &path.path}
	f.content = &authenticatedContent{wireFormat: wirePublic, content: framedContent{
		groupID: g.cur.context.groupID, epoch: g.cur.context.epoch, sender: sender{typ: SenderNewMemberCommit}, typ: contentCommit,
	}}
	edit(f)
	f.content.content.body, f.content.content.commit = marshal(f.c), f.c
	g.signer = f.signer
	_, _, err = g.confirm(f.out, f.content, secret, f.path)
	must(err)
	return marshal(&message{wireFormat: wirePublic, public: &publicMessage{authenticatedContent: *f.content}})
}

func (f *externalForgery) byValue(list ...*Proposal) {
	for _, p := range list {
		f.c.proposals = append(f.c.proposals, proposalOrRef{proposal: p})
	}
}

// leaf changes the path's leaf and signs it for this place.
func (f *externalForgery) leaf(place LeafIndex, edit func(*LeafNode)) {
	l := f.path.path.leaf
	l.raw = nil
	edit(l)
	if err := l.sign(f.g.suite, f.g.signer, f.g.cur.context.groupID, place); err != nil {
		panic(err)
	}
}

// sameClient is an authentication service for which a client is its credential.
type sameClient struct{ anyone }

func (sameClient) ValidateLeaf(ctx LeafContext, leaf *LeafNode) error {
	if ctx.Previous != nil && !bytes.Equal(ctx.Previous.Credential.Identity, leaf.Credential.Identity) {
		return errRefused
	}
	return nil
}

func TestExternalCommitValidation(t *testing.T) {
	eachExternalSuite(t, testExternalCommitValidation)
}

func testExternalCommitValidation(t *testing.T, suite Suite) {
	peers := newGroupOf(t, suite, 6)
	alice, bob := peers[0], peers[1]
	s := alice.commit(CommitOptions{Proposals: []Proposal{
		RemoveProposal(4), GroupContextExtensionsProposal([]Extension{{Type: extTest}, {Type: ExtRequiredCapabilities, Data: []byte{2, 0xF0, 0xC1, 0, 0}}}),
	}})
	alice.merge()
	for _, p := range peers[1:] {
		p.process(s.Message)
	}
	bob.cfg.Auth = sameClient{}
	bob.restore()
	propose := func(from *peer, m []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		from.save()
		bob.process(m)
		return bob.g.proposals[len(bob.g.proposals)-1].ref
	}
	m, err := peers[2].g.ProposeUpdate(nil)
	update := propose(peers[2], m, err)
	m, err = peers[2].g.Propose(RemoveProposal(3))
	remove := propose(peers[2], m, err)
	m, err = peers[5].g.ProposeSelfRemove()
	leaving := propose(peers[5], m, err)

	mallory := newPeer(t, suite, "peer 3")
	mallory.signer = peers[3].signer // a member's client that may return
	join := ExternalJoinOptions{GroupInfo: alice.groupInfo(true)}
	resync := join
	resync.Replace = new(LeafIndex)
	*resync.Replace = 3
	const place = 3 // of the lost leaf, the leftmost blank once it is gone; 4 is blank
	stranger := newPeer(t, suite, "stranger")

	removal := func(i LeafIndex) *Proposal { return &Proposal{typ: ProposalRemove, removed: i} }
	nonce := make([]byte, bob.g.suite.nh)
	psk := &Proposal{typ: ProposalPSK, psk: pskID{typ: pskExternal, id: []byte("id"), nonce: nonce}}
	init := &Proposal{typ: ProposalExternalInit, kemOutput: []byte{1}}
	cases := []struct {
		name string
		want any
		by   *peer
		o    ExternalJoinOptions
		edit func(*externalForgery)
	}{
		{"no external init", "12.2", stranger, join, func(f *externalForgery) { f.c.proposals = nil }},
		{"two external inits", "12.2", stranger, join, func(f *externalForgery) { f.byValue(init) }},
		{"two removals", "12.2", mallory, resync, func(f *externalForgery) { f.byValue(removal(2)) }},
		{"add", "12.2", stranger, join, func(f *externalForgery) {
			kp, err := ParseKeyPackage(newPeer(t, suite, "newcomer").keyPackage())
			if err != nil {
				t.Fatal(err)
			}
			f.byValue(&Proposal{typ: ProposalAdd, keyPackage: kp})
		}},
		{"update", "12.2", stranger, join, func(f *externalForgery) {
			f.byValue(&Proposal{typ: ProposalUpdate, leaf: f.path.path.leaf})
		}},
		{"group context extensions", "12.2", stranger, join, func(f *externalForgery) {
			f.byValue(&Proposal{typ: ProposalGroupContextExtensions})
		}},
		{"reinit", "12.2", stranger, join, func(f *externalForgery) {
			f.byValue(&Proposal{typ: ProposalReInit, reInit: &ReInit{GroupID: []byte{1}, Version: 1, Suite: suite}})
		}},
		{"self-remove by value", "mls-extensions SelfRemove", stranger, join, func(f *externalForgery) {
			f.byValue(&Proposal{typ: ProposalSelfRemove})
		}},
		{"update by reference", "12.4.3.2", stranger, join, func(f *externalForgery) {
			f.c.proposals = append(f.c.proposals, proposalOrRef{ref: update})
		}},
		{"removal by reference", "12.4.3.2", stranger, join, func(f *externalForgery) {
			f.c.proposals = append(f.c.proposals, proposalOrRef{ref: remove})
		}},
		{"unknown reference", ErrMissingProposal, stranger, join, func(f *externalForgery) {
			f.c.proposals = append(f.c.proposals, proposalOrRef{ref: nonce})
		}},
		{"leaver removed too", "12.2", stranger, join, func(f *externalForgery) {
			f.c.proposals = append(f.c.proposals, proposalOrRef{ref: leaving})
			f.byValue(removal(5))
		}},
		{"removes a blank leaf", "12.1.3", stranger, join, func(f *externalForgery) { f.byValue(removal(4)) }},
		{"removes outside the tree", "12.1.3", stranger, join, func(f *externalForgery) { f.byValue(removal(1 << 31)) }},
		{"the same PSK twice", "12.2", stranger, join, func(f *externalForgery) { f.byValue(psk, psk) }},
		{"short PSK nonce", "12.1.4", stranger, join, func(f *externalForgery) {
			p := *psk
			p.psk.nonce = nonce[1:]
			f.byValue(&p)
		}},
		{"unknown PSK", ErrMissingPSK, stranger, join, func(f *externalForgery) { f.byValue(psk) }},
		{"no path", "12.4.3.2", stranger, join, func(f *externalForgery) { f.c.path = nil }},

		{"signed with another key", ErrInvalidSignature, stranger, join, func(f *externalForgery) { f.signer = mallory.signer }},
		{"another client's leaf removed", errRefused, stranger, resync, func(*externalForgery) {}},
		{"leaf of another source", "12.4.2", stranger, join, func(f *externalForgery) {
			f.leaf(4, func(l *LeafNode) { l.Source, l.parentHash = SourceUpdate, nil })
		}},
		{"leaf with the lost leaf's encryption key", "7.3", mallory, resync, func(f *externalForgery) {
			f.leaf(place, func(l *LeafNode) { l.EncryptionKey = f.g.cur.tree.leaf(3).EncryptionKey })
		}},
		{"leaf with another's encryption key", "12.4.2", stranger, join, func(f *externalForgery) {
			f.leaf(4, func(l *LeafNode) { l.EncryptionKey = f.g.cur.tree.leaf(2).EncryptionKey })
		}},
		{"leaf with a member's signature key", "7.3", mallory, join, func(*externalForgery) {}},
		{"leaf with a bad signature", ErrInvalidSignature, stranger, join, func(f *externalForgery) {
			l := f.path.path.leaf
			l.raw[len(l.raw)-1] ^= 1
		}},
		{"leaf signed for the place right of the leftmost blank", ErrInvalidSignature, mallory, resync, func(f *externalForgery) {
			f.leaf(4, func(*LeafNode) {})
		}},
		{"leaf with a wrong parent hash", "7.9.2", stranger, join, func(f *externalForgery) {
			f.leaf(4, func(l *LeafNode) { l.parentHash = nonce })
		}},
		{"leaf without the group's extension", "7.2", stranger, join, func(f *externalForgery) {
			f.leaf(4, func(l *LeafNode) {
				l.Capabilities.Extensions = slices.DeleteFunc(l.Capabilities.Extensions, func(typ uint16) bool { return typ == extTest })
			})
		}},
		{"leaf without the suite", "7.2", stranger, join, func(f *externalForgery) {
			f.leaf(4, func(l *LeafNode) { l.Capabilities.Suites = []uint16{0x0a0a} })
		}},
		{"leaf without the version", "7.2", stranger, join, func(f *externalForgery) {
			f.leaf(4, func(l *LeafNode) { l.Capabilities.Versions = nil })
		}},
		{"leaf without its credential", "7.3", stranger, join, func(f *externalForgery) {
			f.leaf(4, func(l *LeafNode) { l.Capabilities.Credentials = []uint16{2} })
		}},
		{"leaf with an unlisted extension", "7.3", stranger, join, func(f *externalForgery) {
			f.leaf(4, func(l *LeafNode) { l.Extensions = []Extension{{Type: 0xF0FF}} })
		}},
		{"credential others do not support", "7.3", stranger, join, func(f *externalForgery) {
			f.leaf(4, func(l *LeafNode) {
				l.Credential = Credential{Type: CredentialX509, Certificates: [][]byte{{1}}}
				l.Capabilities.Credentials = []uint16{1, 2}
			})
		}},
		{"path too short", "12.4.2", stranger, join, func(f *externalForgery) { f.path.path.nodes = f.path.path.nodes[1:] }},
		{"ciphertext missing", "7.6", stranger, join, func(f *externalForgery) {
			n := &f.path.path.nodes[len(f.path.path.nodes)-1]
			n.secrets = n.secrets[1:]
		}},
		{"path secret garbled", ErrDecrypt, stranger, join, func(f *externalForgery) {
			for _, n := range f.path.path.nodes {
				for i := range n.secrets {
					n.secrets[i].ciphertext[0] ^= 1
				}
			}
		}},
		{"encapsulation cut", ErrDecrypt, stranger, join, func(f *externalForgery) {
			p := f.c.proposals[0].proposal
			p.kemOutput = p.kemOutput[1:]
		}},
		{"encapsulation empty", ErrDecrypt, stranger, join, func(f *externalForgery) { f.c.proposals[0].proposal.kemOutput = nil }},
		{"encapsulation to another key", ErrInvalidSignature, stranger, join, func(f *externalForgery) {
			other, _, err := f.g.suite.newExternalInit(f.g.cur.tree.leaf(2).EncryptionKey)
			if err != nil {
				t.Fatal(err)
			}
			f.c.proposals[0].proposal.kemOutput = other.kemOutput
		}},
		{"wrong confirmation tag", ErrInvalidSignature, stranger, join, func(f *externalForgery) {
			f.out.extensions = []Extension{{Type: extTest}}
		}},
		{"another group", ErrWrongGroup, stranger, join, func(f *externalForgery) { f.content.content.groupID = []byte{1} }},
		{"old epoch", ErrOldEpoch, stranger, join, func(f *externalForgery) { f.content.content.epoch-- }},
		{"future epoch", ErrFutureEpoch, stranger, join, func(f *externalForgery) { f.content.content.epoch++ }},
		{"commit by an external sender", "6", stranger, join, func(f *externalForgery) {
			f.content.content.sender = sender{SenderExternal, 0}
		}},
		{"commit by one who proposes to join", "6", stranger, join, func(f *externalForgery) {
			f.content.content.sender.typ = SenderNewMemberProposal
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bob.resists(t, c.by.forgeExternal(c.o, testCapabilities, c.edit), c.want)
		})
	}
	t.Run("joiner does not support the group's extension", func(t *testing.T) {
		o := stranger.joining(join)
		o.ExtraCapabilities = Capabilities{}
		_, _, err := JoinByCommit(stranger.cfg, o)
		expect(t, err, "7.2")
	})
	// And after all that honest ones go through.
	for name, m := range map[string][]byte{
		"join": stranger.forgeExternal(join, testCapabilities, func(*externalForgery) {}),
		"back": mallory.forgeExternal(resync, testCapabilities, func(*externalForgery) {}),
	} {
		if _, err := bob.g.Process(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A public commit by a member stays one, whatever it holds.
	bob.g.cfg.Handshakes, alice.g.cfg.Handshakes = HandshakesMixed, HandshakesPublic
	m = alice.forge(func(f *forgery) { f.byValue(init) })
	_, err = bob.g.Process(m)
	expect(t, err, "12.2")
	content := alice.g.content(contentProposal, marshal(init), nil)
	content.content.proposal = init
	if m, err = alice.g.send(content); err != nil {
		t.Fatal(err)
	}
	bob.refuses(m, nil)
	_, err = bob.g.Process(m)
	expect(t, err, "12.1.6")
}

// proposalsOnRecord is what the group's proposals are recorded as, live and stored.
func (p *peer) proposalsOnRecord() []byte {
	var w writer
	for _, c := range p.g.proposals {
		c.encode(&w)
		w.raw(p.store[recordKey32(prefixProposal, c.seq)])
	}
	return w.b
}

// What a joiner is told has to be a group.
func TestJoinByCommitRefuses(t *testing.T) {
	eachExternalSuite(t, func(t *testing.T, suite Suite) {
		peers := newGroupOf(t, suite, 3)
		alice, p := peers[0], newPeer(t, suite, "joiner")
		good := alice.groupInfo(true)
		edit := func(f func(*groupInfo)) []byte {
			m, err := unmarshal(bytes.Clone(good), readMessage)
			if err != nil {
				t.Fatal(err)
			}
			f(m.groupInfo)
			if err := m.groupInfo.sign(alice.g.suite, alice.signer); err != nil {
				t.Fatal(err)
			}
			return marshal(m)
		}
		tree := alice.g.RatchetTree()
		seven := LeafIndex(7)
		cases := []struct {
			name string
			want any
			o    ExternalJoinOptions
		}{
			{"nothing", ErrMalformed, ExternalJoinOptions{}},
			{"not a group info", ErrUnsupported, ExternalJoinOptions{GroupInfo: alice.seal("x")}},
			{"trailing byte", ErrMalformed, ExternalJoinOptions{GroupInfo: append(bytes.Clone(good), 0)}},
			{"no external key", "12.4.3.2", ExternalJoinOptions{GroupInfo: edit(func(i *groupInfo) { i.extensions = i.extensions[1:] })}},
			{"external key is none", "12.4.3.2", ExternalJoinOptions{GroupInfo: edit(func(i *groupInfo) { i.extensions[0].Data = []byte{1, 1} })}},
			{"external key malformed", ErrMalformed, ExternalJoinOptions{GroupInfo: edit(func(i *groupInfo) { i.extensions[0].Data = append(i.extensions[0].Data, 0) })}},
			{"extension twice", "13.4", ExternalJoinOptions{GroupInfo: edit(func(i *groupInfo) { i.extensions = append(i.extensions, i.extensions[0]) })}},
			{"no tree", ErrNoTree, ExternalJoinOptions{GroupInfo: edit(func(i *groupInfo) { i.extensions = i.extensions[:1] })}},
			{"another tree", ErrInvalidSignature, ExternalJoinOptions{Tree: newGroupOf(t, suite, 1)[0].g.RatchetTree(), GroupInfo: edit(func(i *groupInfo) {
				i.extensions, i.signer = i.extensions[:1], 0
			})}},
			{"wrong tree hash", "12.4.3.1", ExternalJoinOptions{GroupInfo: edit(func(i *groupInfo) { i.context.treeHash[0] ^= 1 })}},
			{"signed by a blank", "12.4.3.1", ExternalJoinOptions{GroupInfo: edit(func(i *groupInfo) { i.signer = 3 })}},
			{"signed by another", ErrInvalidSignature, ExternalJoinOptions{GroupInfo: edit(func(i *groupInfo) { i.signer = 1 })}},
			{"unknown suite", ErrUnsupported, ExternalJoinOptions{GroupInfo: edit(func(i *groupInfo) { i.context.suite = 0x0a0a })}},
			{"another suite", nil, ExternalJoinOptions{GroupInfo: edit(func(i *groupInfo) { i.context.suite = SuiteP384 })}},
			{"group extension nobody has", "12.1.7", ExternalJoinOptions{GroupInfo: edit(func(i *groupInfo) {
				i.context.extensions = []Extension{{Type: 0xF0FF}}
			})}},
			{"external senders malformed", ErrMalformed, ExternalJoinOptions{GroupInfo: edit(func(i *groupInfo) {
				i.context.extensions = []Extension{{Type: ExtExternalSenders, Data: []byte{9}}}
			})}},
			{"replaces nobody", "12.1.3", ExternalJoinOptions{GroupInfo: good, Replace: &seven}},
			{"leaf extension twice", "13.4", ExternalJoinOptions{GroupInfo: good, LeafExtensions: []Extension{{Type: extTest}, {Type: extTest}}}},
		}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				o := p.joining(c.o)
				g, m, err := JoinByCommit(p.cfg, o)
				if err == nil || g != nil || m != nil {
					t.Fatalf("joins: %v", err)
				}
				expect(t, err, c.want)
			})
		}
		t.Run("signature", func(t *testing.T) {
			bad := bytes.Clone(good)
			bad[len(bad)-1] ^= 1
			if _, _, err := JoinByCommit(p.cfg, p.joining(ExternalJoinOptions{GroupInfo: bad})); !errors.Is(err, ErrInvalidSignature) {
				t.Error(err)
			}
		})
		t.Run("signer", func(t *testing.T) {
			_, _, err := JoinByCommit(p.cfg, ExternalJoinOptions{GroupInfo: good})
			expect(t, err, ErrSigner)
		})
		t.Run("member already", func(t *testing.T) {
			_, _, err := JoinByCommit(p.cfg, peers[1].joining(ExternalJoinOptions{GroupInfo: good}))
			expect(t, err, "7.3")
		})
		t.Run("member refused", func(t *testing.T) {
			_, _, err := JoinByCommit(Config{Auth: refusing{"peer 2"}}, p.joining(ExternalJoinOptions{GroupInfo: good}))
			expect(t, err, errRefused)
		})
		t.Run("unknown extension", func(t *testing.T) {
			info := edit(func(i *groupInfo) {
				i.extensions = append([]Extension{{Type: 0x0a0a, Data: []byte("grease")}}, i.extensions[0])
			})
			m := p.joinByCommit(ExternalJoinOptions{GroupInfo: info, Tree: tree})
			for _, q := range peers {
				q.process(m)
			}
			converse(t, append(peers, p)...)
		})
	})
}
