package mls

import "fmt"

// Wire formats of RFC 9420 §17.2.
const (
	wirePublic     uint16 = 1
	wirePrivate    uint16 = 2
	wireWelcome    uint16 = 3
	wireGroupInfo  uint16 = 4
	wireKeyPackage uint16 = 5
)

// message is MLSMessage of §6; what wireFormat says is set.
type message struct {
	wireFormat uint16
	public     *publicMessage
	private    *privateMessage
	welcome    *welcome
	groupInfo  *groupInfo
	keyPackage *KeyPackage
}

func (m *message) encode(w *writer) {
	w.u16(protocolVersion)
	w.u16(m.wireFormat)
	switch m.wireFormat {
	case wirePublic:
		m.public.encode(w)
	case wirePrivate:
		m.private.encode(w)
	case wireWelcome:
		m.welcome.encode(w)
	case wireGroupInfo:
		m.groupInfo.encode(w)
	case wireKeyPackage:
		m.keyPackage.encode(w)
	}
}

func readMessage(r *reader) *message {
	if v := r.u16(); r.err == nil && v != protocolVersion {
		r.err = fmt.Errorf("%w: protocol version %d", ErrUnsupported, v)
	}
	m := &message{wireFormat: r.u16()}
	switch m.wireFormat {
	case wirePublic:
		m.public = readPublicMessage(r)
	case wirePrivate:
		m.private = readPrivateMessage(r)
	case wireWelcome:
		m.welcome = readWelcome(r)
	case wireGroupInfo:
		m.groupInfo = readGroupInfo(r)
	case wireKeyPackage:
		m.keyPackage = readKeyPackage(r)
	default:
		r.fail("unknown wire format %d", m.wireFormat)
	}
	return m
}

// MessageInfo is what can be read of a group message without any key.
type MessageInfo struct {
	GroupID []byte
	Epoch   uint64
	// Handshake is true for proposals and commits.
	Handshake bool
}

// Peek tells which group and epoch a PublicMessage or PrivateMessage is for.
func Peek(mlsMessage []byte) (MessageInfo, error) {
	m, err := unmarshal(mlsMessage, readMessage)
	switch {
	case err != nil:
		return MessageInfo{}, err
	case m.public != nil:
		c := &m.public.content
		return MessageInfo{GroupID: c.groupID, Epoch: c.epoch, Handshake: c.typ != contentApplication}, nil
	case m.private != nil:
		p := m.private
		return MessageInfo{GroupID: p.groupID, Epoch: p.epoch, Handshake: p.typ != contentApplication}, nil
	default:
		return MessageInfo{}, fmt.Errorf("%w: not a group message", ErrUnsupported)
	}
}
