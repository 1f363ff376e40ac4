package mls

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

func equal(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got %x, want %x", what, got, want)
	}
}

type cryptoBasicsVector struct {
	CipherSuite Suite `json:"cipher_suite"`
	RefHash     struct {
		Label string   `json:"label"`
		Value hexBytes `json:"value"`
		Out   hexBytes `json:"out"`
	} `json:"ref_hash"`
	ExpandWithLabel struct {
		Secret  hexBytes `json:"secret"`
		Context hexBytes `json:"context"`
		Out     hexBytes `json:"out"`
		Label   string   `json:"label"`
		Length  int      `json:"length"`
	} `json:"expand_with_label"`
	DeriveSecret struct {
		Secret hexBytes `json:"secret"`
		Out    hexBytes `json:"out"`
		Label  string   `json:"label"`
	} `json:"derive_secret"`
	DeriveTreeSecret struct {
		Secret     hexBytes `json:"secret"`
		Out        hexBytes `json:"out"`
		Label      string   `json:"label"`
		Generation uint32   `json:"generation"`
		Length     int      `json:"length"`
	} `json:"derive_tree_secret"`
	SignWithLabel struct {
		Priv      hexBytes `json:"priv"`
		Pub       hexBytes `json:"pub"`
		Content   hexBytes `json:"content"`
		Signature hexBytes `json:"signature"`
		Label     string   `json:"label"`
	} `json:"sign_with_label"`
	EncryptWithLabel struct {
		Priv       hexBytes `json:"priv"`
		Pub        hexBytes `json:"pub"`
		Context    hexBytes `json:"context"`
		Plaintext  hexBytes `json:"plaintext"`
		Ciphertext hexBytes `json:"ciphertext"`
		KEMOutput  hexBytes `json:"kem_output"`
		Label      string   `json:"label"`
	} `json:"encrypt_with_label"`
}

func (v *cryptoBasicsVector) follow(t *testing.T, s *suite) {
	equal(t, "RefHash", s.digest(labelled(v.RefHash.Label, v.RefHash.Value)), v.RefHash.Out)
	e := v.ExpandWithLabel
	equal(t, "ExpandWithLabel", s.expandWithLabel(e.Secret, e.Label, e.Context, e.Length), e.Out)
	equal(t, "DeriveSecret", s.deriveSecret(v.DeriveSecret.Secret, v.DeriveSecret.Label), v.DeriveSecret.Out)
	d := v.DeriveTreeSecret
	equal(t, "DeriveTreeSecret", s.deriveTreeSecret(d.Secret, d.Label, d.Generation, d.Length), d.Out)

	g := v.SignWithLabel
	if !s.verifyWithLabel(g.Pub, g.Label, g.Content, g.Signature) {
		t.Errorf("%v: official signature refused", s.id)
	}
	signer := vectorSigner(t, s, g.Priv)
	sig, err := s.signWithLabel(signer, g.Label, g.Content)
	if err != nil || !s.verifyWithLabel(g.Pub, g.Label, g.Content, sig) {
		t.Errorf("%v: own signature refused: %v", s.id, err)
	}
	if public, err := s.sig.publicOf(signer); err != nil || !bytes.Equal(public, g.Pub) {
		t.Errorf("%v: public key %x, %v", s.id, public, err)
	}
	sig[len(sig)-1] ^= 1
	if s.verifyWithLabel(g.Pub, g.Label, g.Content, sig) {
		t.Errorf("%v: wrong signature accepted", s.id)
	}

	h := v.EncryptWithLabel
	plain, err := s.decryptWithLabel(h.Priv, h.Label, h.Context, hpkeCiphertext{h.KEMOutput, h.Ciphertext})
	if err != nil {
		t.Errorf("%v: %v", s.id, err)
	}
	equal(t, "DecryptWithLabel", plain, h.Plaintext)
	ct, err := s.encryptWithLabel(h.Pub, h.Label, h.Context, h.Plaintext)
	if err != nil {
		t.Fatal(err)
	}
	plain, err = s.decryptWithLabel(h.Priv, h.Label, h.Context, ct)
	if err != nil {
		t.Errorf("%v: %v", s.id, err)
	}
	equal(t, "EncryptWithLabel", plain, h.Plaintext)
}

type deserializationVector struct {
	Header hexBytes `json:"vlbytes_header"`
	Length int      `json:"length"`
}

func (v *deserializationVector) follow(t *testing.T, s *suite) {
	if n, size := parseVarint(v.Header); n != v.Length || size != len(v.Header) {
		t.Errorf("%x: got %d in %d bytes, want %d", v.Header, n, size, v.Length)
	}
	var w writer
	w.length(v.Length)
	equal(t, "header", w.b, v.Header)
}

type treeMathVector struct {
	Leaves  uint32       `json:"n_leaves"`
	Nodes   uint32       `json:"n_nodes"`
	Root    nodeIndex    `json:"root"`
	Left    []*nodeIndex `json:"left"`
	Right   []*nodeIndex `json:"right"`
	Parent  []*nodeIndex `json:"parent"`
	Sibling []*nodeIndex `json:"sibling"`
}

func (v *treeMathVector) follow(t *testing.T, s *suite) {
	if tree := newTree(s, v.Leaves); !tree.has(nodeIndex(v.Nodes-1)) || tree.has(nodeIndex(v.Nodes)) || tree.root() != v.Root {
		t.Errorf("%d leaves: root %d", v.Leaves, tree.root())
	}
	check := func(what string, x nodeIndex, want *nodeIndex, f func(nodeIndex) nodeIndex) {
		if want != nil && f(x) != *want {
			t.Errorf("%s(%d) = %d, want %d", what, x, f(x), *want)
		}
	}
	for x := range nodeIndex(v.Nodes) {
		check("left", x, v.Left[x], nodeIndex.left)
		check("right", x, v.Right[x], nodeIndex.right)
		check("parent", x, v.Parent[x], nodeIndex.parent)
		check("sibling", x, v.Sibling[x], nodeIndex.sibling)
	}
}

type keyScheduleEpoch struct {
	CommitSecret  hexBytes `json:"commit_secret"`
	PSKSecret     hexBytes `json:"psk_secret"`
	Context       hexBytes `json:"group_context"`
	TreeHash      hexBytes `json:"tree_hash"`
	Confirmed     hexBytes `json:"confirmed_transcript_hash"`
	Joiner        hexBytes `json:"joiner_secret"`
	Welcome       hexBytes `json:"welcome_secret"`
	Init          hexBytes `json:"init_secret"`
	SenderData    hexBytes `json:"sender_data_secret"`
	Encryption    hexBytes `json:"encryption_secret"`
	ExporterS     hexBytes `json:"exporter_secret"`
	Authenticator hexBytes `json:"epoch_authenticator"`
	External      hexBytes `json:"external_secret"`
	Confirmation  hexBytes `json:"confirmation_key"`
	Membership    hexBytes `json:"membership_key"`
	Resumption    hexBytes `json:"resumption_psk"`
	ExternalPub   hexBytes `json:"external_pub"`
	Exporter      struct {
		Label   string   `json:"label"`
		Context hexBytes `json:"context"`
		Length  int      `json:"length"`
		Secret  hexBytes `json:"secret"`
	} `json:"exporter"`
}

type keyScheduleVector struct {
	CipherSuite Suite              `json:"cipher_suite"`
	GroupID     hexBytes           `json:"group_id"`
	InitSecret  hexBytes           `json:"initial_init_secret"`
	Epochs      []keyScheduleEpoch `json:"epochs"`
}

func (v *keyScheduleVector) follow(t *testing.T, s *suite) {
	initSecret := []byte(v.InitSecret)
	for i, e := range v.Epochs {
		context := groupContext{
			suite: s.id, groupID: v.GroupID, epoch: uint64(i),
			treeHash: e.TreeHash, confirmedTranscriptHash: e.Confirmed,
		}
		equal(t, "group context", marshal(&context), e.Context)
		j := s.joinerOf(initSecret, e.CommitSecret, e.PSKSecret, e.Context)
		equal(t, "joiner", j.joinerSecret, e.Joiner)
		equal(t, "welcome", j.welcomeSecret, e.Welcome)
		got := s.epochOf(j, e.Context)
		equal(t, "init", got.init, e.Init)
		equal(t, "sender data", got.senderData, e.SenderData)
		equal(t, "encryption", got.encryption, e.Encryption)
		equal(t, "exporter", got.exporter, e.ExporterS)
		equal(t, "authenticator", got.authenticator, e.Authenticator)
		equal(t, "external", got.external, e.External)
		equal(t, "confirmation", got.confirmation, e.Confirmation)
		equal(t, "membership", got.membership, e.Membership)
		equal(t, "resumption", got.resumption, e.Resumption)
		_, public, err := s.kem.deriveKeyPair(got.external)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "external public", public, e.ExternalPub)
		x := e.Exporter
		equal(t, "exported", s.export(got.exporter, x.Label, x.Context, x.Length), x.Secret)
		initSecret = got.init
	}
}

type pskSecretPSK struct {
	ID    hexBytes `json:"psk_id"`
	PSK   hexBytes `json:"psk"`
	Nonce hexBytes `json:"psk_nonce"`
}

type pskSecretVector struct {
	CipherSuite Suite          `json:"cipher_suite"`
	PSKs        []pskSecretPSK `json:"psks"`
	Secret      hexBytes       `json:"psk_secret"`
}

func (v *pskSecretVector) follow(t *testing.T, s *suite) {
	var psks []presharedKey
	for _, p := range v.PSKs {
		psks = append(psks, presharedKey{pskID{typ: pskExternal, id: p.ID, nonce: p.Nonce}, p.PSK})
	}
	equal(t, "psk secret", s.pskSecret(psks), v.Secret)
}

type secretTreeGeneration struct {
	Generation       uint32   `json:"generation"`
	ApplicationKey   hexBytes `json:"application_key"`
	ApplicationNonce hexBytes `json:"application_nonce"`
	HandshakeKey     hexBytes `json:"handshake_key"`
	HandshakeNonce   hexBytes `json:"handshake_nonce"`
}

type secretTreeVector struct {
	CipherSuite Suite    `json:"cipher_suite"`
	Encryption  hexBytes `json:"encryption_secret"`
	SenderData  struct {
		Secret     hexBytes `json:"sender_data_secret"`
		Ciphertext hexBytes `json:"ciphertext"`
		Key        hexBytes `json:"key"`
		Nonce      hexBytes `json:"nonce"`
	} `json:"sender_data"`
	Leaves [][]secretTreeGeneration `json:"leaves"`
}

func (v *secretTreeVector) follow(t *testing.T, s *suite) {
	key, nonce := s.senderDataKey(v.SenderData.Secret, v.SenderData.Ciphertext)
	equal(t, "sender data key", key, v.SenderData.Key)
	equal(t, "sender data nonce", nonce, v.SenderData.Nonce)
	tree := newSecretTree(s, 1, treeSize(len(v.Leaves)), slices.Clone([]byte(v.Encryption)))
	log := changeLog{}
	use := func(leaf LeafIndex, kind ratchetKind, g uint32, key, nonce []byte) {
		step, err := tree.receive(leaf, kind, g, 1<<20, 1<<20)
		if err != nil {
			t.Fatalf("%v: leaf %d generation %d: %v", s.id, leaf, g, err)
		}
		equal(t, "key", step.key, key)
		equal(t, "nonce", step.nonce, nonce)
		step.apply(log)
	}
	for leaf, generations := range v.Leaves {
		// Backwards, so that the later ones have skipped the earlier ones.
		for _, g := range slices.Backward(generations) {
			use(LeafIndex(leaf), ratchetApplication, g.Generation, g.ApplicationKey, g.ApplicationNonce)
			use(LeafIndex(leaf), ratchetHandshake, g.Generation, g.HandshakeKey, g.HandshakeNonce)
		}
	}
	if len(tree.nodes) != int(tree.leaves)-len(v.Leaves) && tree.leaves == uint32(len(v.Leaves)) {
		t.Errorf("%d tree secrets are left", len(tree.nodes))
	}
}

type transcriptHashesVector struct {
	CipherSuite     Suite    `json:"cipher_suite"`
	ConfirmationKey hexBytes `json:"confirmation_key"`
	Content         hexBytes `json:"authenticated_content"`
	InterimBefore   hexBytes `json:"interim_transcript_hash_before"`
	Confirmed       hexBytes `json:"confirmed_transcript_hash_after"`
	Interim         hexBytes `json:"interim_transcript_hash_after"`
}

func (v *transcriptHashesVector) follow(t *testing.T, s *suite) {
	content, err := unmarshal(v.Content, readAuthenticatedContent)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "content", marshal(content), v.Content)
	confirmed := s.confirmedHash(v.InterimBefore, content)
	equal(t, "confirmed", confirmed, v.Confirmed)
	if !s.verifyMAC(v.ConfirmationKey, confirmed, content.confirmationTag) {
		t.Error("confirmation tag refused")
	}
	equal(t, "interim", s.interimHash(confirmed, content.confirmationTag), v.Interim)
}

func TestVarint(t *testing.T) {
	for n, want := range map[int]int{0: 1, 63: 1, 64: 2, 0x3fff: 2, 0x4000: 4, maxVarint: 4} {
		var w writer
		w.length(n)
		if got, size := parseVarint(w.b); got != n || size != want {
			t.Errorf("%d: %x parses to %d in %d bytes", n, w.b, got, size)
		}
	}
	longer := binary.BigEndian.AppendUint32(nil, 2<<30|0x3fff)
	for _, b := range [][]byte{nil, {0x40}, {0x40, 63}, {0x80, 0, 0}, longer, {0xc0, 0, 0, 0, 0, 0, 0, 1}} {
		if _, size := parseVarint(b); size != 0 {
			t.Errorf("%x accepted", b)
		}
	}
}
