package client

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/franking"
	"quicprochat/core/identity"
	"quicprochat/core/mls"
	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

const (
	// maxTitle is the longest title of a group, in bytes.
	maxTitle = 128
	// maxAdmins bounds what a GroupState may list.
	maxAdmins = 10_000
)

// Types of the extensions that the product puts into MLS (see content.proto).
const (
	extGroupState uint16 = 0xF0C1
	extLeafState  uint16 = 0xF0C2
)

var errContent = errors.New("client: invalid content")

// text is a decoded application message.
type text struct {
	id     MessageID
	sentAt time.Time
	body   string
}

// marshal serialises the text as application data, with the proof that this
// device of the account wrote it.
func (t text) marshal(device ed25519.PrivateKey, account AccountID) ([]byte, error) {
	content, err := proto.Marshal(&qpcv1.Content{
		MessageId: t.id[:],
		SentAt:    uint64(t.sentAt.UnixMilli()),
		Body:      &qpcv1.Content_Text{Text: &qpcv1.Text{Body: t.body}},
	})
	if err != nil {
		return nil, err
	}
	return franking.Seal(device, account, content)
}

// parseText decodes a serialised Content of a member, who may write anything.
func parseText(content []byte) (text, error) {
	m, err := franking.ParseContent(content)
	if err != nil {
		return text{}, fmt.Errorf("%w: %w", errContent, err)
	}
	const maxMillis = 253402300799_000 // end of the year 9999
	return text{
		id:     MessageID(m.MessageId),
		sentAt: time.UnixMilli(int64(min(m.SentAt, maxMillis))),
		body:   m.GetText().GetBody(),
	}, nil
}

// openText decodes the application data of a member and makes sure that a report
// could prove it: what nobody could be shown, nobody is shown.
func openText(sender AccountID, a *mls.Application) (text, vault.Evidence, error) {
	franked, err := franking.Open(a.SenderLeaf.SignatureKey, sender, a.Data)
	if err != nil {
		return text{}, vault.Evidence{}, fmt.Errorf("%w: %w", errContent, err)
	}
	t, err := parseText(franked.Content)
	if err != nil {
		return text{}, vault.Evidence{}, err
	}
	proof, err := proto.Marshal(franked)
	return t, vault.Evidence{Proof: proof, Certificate: certificateOf(a.SenderLeaf)}, err
}

func checkText(s string) error {
	if franking.CheckText(s) != nil {
		return ErrTextInvalid
	}
	return nil
}

func checkTitle(s string) error {
	if strings.TrimSpace(s) == "" || len(s) > maxTitle || !utf8.ValidString(s) ||
		strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ErrTitleInvalid
	}
	return nil
}

// groupState is the decoded group-context extension 0xF0C1.
type groupState struct {
	kind   Kind
	title  string
	admins []AccountID
}

func (s groupState) isAdmin(id AccountID) bool { return slices.Contains(s.admins, id) }

func (s groupState) marshal(id ConversationID) ([]byte, error) {
	m := &qpcv1.GroupState{
		Kind:      qpcv1.GroupState_KIND_GROUP,
		Name:      s.title,
		ChannelId: id[:],
	}
	if s.kind == KindDirect {
		m.Kind, m.Name = qpcv1.GroupState_KIND_DIRECT, ""
	}
	for _, admin := range s.admins {
		m.Admins = append(m.Admins, admin[:])
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

// parseGroupState decodes the state of the group id, which a member wrote.
func parseGroupState(id ConversationID, data []byte) (groupState, error) {
	var m qpcv1.GroupState
	if err := proto.Unmarshal(data, &m); err != nil {
		return groupState{}, fmt.Errorf("%w: group state: %w", errContent, err)
	}
	if string(m.ChannelId) != string(id[:]) {
		return groupState{}, fmt.Errorf("%w: group state of another group", errContent)
	}
	s := groupState{title: m.Name}
	switch m.Kind {
	case qpcv1.GroupState_KIND_DIRECT:
		s.kind = KindDirect
		if m.Name != "" {
			return groupState{}, fmt.Errorf("%w: a direct chat with a title", errContent)
		}
	case qpcv1.GroupState_KIND_GROUP:
		s.kind = KindGroup
		if err := checkTitle(m.Name); err != nil {
			return groupState{}, fmt.Errorf("%w: %w", errContent, err)
		}
	default:
		return groupState{}, fmt.Errorf("%w: group of kind %d", errContent, m.Kind)
	}
	if len(m.Admins) > maxAdmins {
		return groupState{}, fmt.Errorf("%w: %d administrators", errContent, len(m.Admins))
	}
	for _, raw := range m.Admins {
		admin, err := identity.ParseAccountID(raw)
		if err != nil {
			return groupState{}, fmt.Errorf("%w: administrator: %w", errContent, err)
		}
		s.admins = append(s.admins, admin)
	}
	return s, nil
}

// leafState is the decoded leaf-node extension 0xF0C2.
type leafState struct {
	certificate  *identity.Certificate
	queueAddress []byte
}

func marshalLeafState(certificate *identity.Certificate, queueAddress []byte) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(&qpcv1.LeafState{
		DeviceCertificate: certificate.Raw,
		QueueAddress:      queueAddress,
	})
}

// maxQueueAddress bounds a queue address, which only the server can read.
const maxQueueAddress = 256

// parseLeafState decodes the state of a leaf and checks the certificate's
// signature.
func parseLeafState(data []byte) (leafState, error) {
	var m qpcv1.LeafState
	if err := proto.Unmarshal(data, &m); err != nil {
		return leafState{}, fmt.Errorf("%w: leaf state: %w", errContent, err)
	}
	if n := len(m.QueueAddress); n == 0 || n > maxQueueAddress {
		return leafState{}, fmt.Errorf("%w: queue address of %d bytes", errContent, n)
	}
	certificate, err := identity.ParseCertificate(m.DeviceCertificate)
	if err != nil {
		return leafState{}, fmt.Errorf("%w: %w", errContent, err)
	}
	return leafState{certificate: certificate, queueAddress: m.QueueAddress}, nil
}
