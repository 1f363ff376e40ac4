package client

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/tokens"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// fakeMint issues and takes tokens. The zero fakeMint does as it should.
type fakeMint struct {
	now    func() time.Time
	day    uint32 // how many days the server is ahead of everybody
	secret byte
	strict bool // takes today's tokens only
	// tagging is another secret, for accounts alone.
	tagging byte
	spent   map[string]string // by nonce: what for
	issued  int
	quota   int // 0: none
}

func (m *fakeMint) key(day uint32, secret byte) *tokens.Key {
	k, err := tokens.DeriveKey(bytes.Repeat([]byte{secret + 1}, 32), day)
	if err != nil {
		panic(err)
	}
	return k
}

func (m *fakeMint) today() uint32 { return tokenDay(m.now()) + m.day }

func (m *fakeMint) public() *qpcv1.TokenKey {
	k := m.key(m.today(), m.secret)
	return &qpcv1.TokenKey{Id: k.ID(), PublicKey: k.Public()}
}

// check tells whether tokens pay for a use, and returns what notes them as spent.
func (m *fakeMint) check(list [][]byte, use string) (spend func(), err error) {
	for _, b := range list {
		token, err := tokens.Parse(b)
		if err != nil {
			return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_TOKEN_INVALID)
		}
		if token.KeyID > m.today() || token.KeyID+1 < m.today() || m.strict && token.KeyID != m.today() {
			return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_TOKEN_KEY)
		}
		if m.key(token.KeyID, m.secret).Check(token) != nil {
			return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_TOKEN_INVALID)
		}
		if earlier, ok := m.spent[string(token.Nonce[:])]; ok && earlier != use {
			return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_TOKEN_SPENT)
		}
	}
	return func() {
		if m.spent == nil {
			m.spent = make(map[string]string)
		}
		for _, b := range list {
			token, _ := tokens.Parse(b)
			m.spent[string(token.Nonce[:])] = use
		}
	}, nil
}

func (f *fakeServer) issueTokens(_ *wire.Peer, req *qpcv1.IssueTokensRequest) (*qpcv1.IssueTokensResponse, error) {
	if req.KeyId != f.mint.today() {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_TOKEN_KEY)
	}
	if f.mint.quota > 0 && f.mint.issued+len(req.Blinded) > f.mint.quota {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_TOKEN_QUOTA)
	}
	f.mint.issued += len(req.Blinded)
	secret := f.mint.secret
	if f.mint.tagging != 0 {
		secret = f.mint.tagging
	}
	k := f.mint.key(f.mint.today(), secret)
	evaluated, proof, err := k.Evaluate(req.Blinded)
	return &qpcv1.IssueTokensResponse{Evaluated: evaluated, Proof: proof, Key: &qpcv1.TokenKey{Id: k.ID(), PublicKey: k.Public()}}, err
}

func (f *fakeServer) deliverSealed(_ *wire.Peer, req *qpcv1.DeliverSealedRequest) (*qpcv1.DeliverSealedResponse, error) {
	use := fmt.Sprintf("%x %x", req.ItemId, req.Address)
	token, err := tokens.Parse(req.Token)
	if err == nil && f.mint.spent[string(token.Nonce[:])] == use {
		return &qpcv1.DeliverSealedResponse{}, nil
	}
	spend, err := f.mint.check([][]byte{req.Token}, use)
	if err != nil {
		return nil, err
	}
	spend()
	f.deliver(f.devices[DeviceID(req.Address[:16])], &qpcv1.QueueItem{
		ItemId: req.ItemId, Body: &qpcv1.QueueItem_Welcome{Welcome: &qpcv1.SealedWelcome{Sealed: req.Sealed}},
	})
	return &qpcv1.DeliverSealedResponse{}, nil
}

// payCommit takes the tokens for the Welcomes of a commit.
func (f *fakeServer) payCommit(req *qpcv1.CommitRequest, body *qpcv1.CommitBody) error {
	if len(req.Tokens) < len(body.Welcomes) {
		return refuse(qpcv1.ErrorCode_ERROR_CODE_TOKEN_MISSING)
	}
	sum := sha256.Sum256(req.Body)
	spend, err := f.mint.check(slices.Clone(req.Tokens[:len(body.Welcomes)]), string(sum[:]))
	if err == nil {
		spend()
	}
	return err
}

func (f *fakeServer) fetchHybridKey(_ *wire.Peer, req *qpcv1.FetchHybridKeyRequest) (*qpcv1.FetchHybridKeyResponse, error) {
	d := f.devices[DeviceID(req.DeviceId)]
	if d == nil || d.revoked || d.hybrid == nil || !bytes.Equal(d.account.id[:], req.AccountId) {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT)
	}
	return &qpcv1.FetchHybridKeyResponse{HybridKey: d.hybrid, DeviceCertificate: d.certificate}, nil
}

func (f *fakeServer) getChannel(_ *wire.Peer, req *qpcv1.GetChannelRequest) (*qpcv1.GetChannelResponse, error) {
	var body qpcv1.GetChannelBody
	if err := proto.Unmarshal(req.Body, &body); err != nil {
		return nil, err
	}
	if f.busy {
		return nil, refuse(qpcv1.ErrorCode_ERROR_CODE_INTERNAL)
	}
	ch := f.channels[ConversationID(body.ChannelId)]
	if _, err := ch.open(labelGet, body.Epoch, req.Body, req.Signature, nil); err != nil {
		return nil, err
	}
	return &qpcv1.GetChannelResponse{CurrentEpoch: ch.epoch, WinnerItemId: ch.winners[body.Epoch]}, nil
}
