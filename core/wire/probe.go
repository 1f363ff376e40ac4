package wire

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// ErrSilent: nobody answered a probe.
var ErrSilent = errors.New("wire: no answer")

const (
	// probeVersion is of the kind that no server has, so that each answers
	// with the ones it has (RFC 9000 §6, §15).
	probeVersion = 0x1a2a3a4a
	probeSize    = 1200 // smaller packets are not answered
	probeID      = 8    // length of a connection id
	// probeEvery is how long one packet waits for its answer before the next.
	probeEvery = 250 * time.Millisecond
)

// Probe tells whether something at a UDP address speaks QUIC: whether the loop
// of a server there still takes packets and answers them. It makes no
// connection and costs next to nothing. ErrSilent where ctx ends first.
func Probe(ctx context.Context, to netip.AddrPort) error {
	socket, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return fmt.Errorf("wire: probe: %w", withoutAddress(err))
	}
	defer socket.Close()
	defer context.AfterFunc(ctx, func() { _ = socket.SetReadDeadline(time.Unix(1, 0)) })()
	packet, own := probePacket()
	answer := make([]byte, 1500)
	for ctx.Err() == nil {
		// An error is the system's note that nobody listens: the next may be heard.
		_, _ = socket.Write(packet)
		_ = socket.SetReadDeadline(time.Now().Add(probeEvery))
		n, err := socket.Read(answer)
		if err == nil && answersProbe(answer[:n], own) {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			break
		}
		if err != nil && !isTimeout(err) {
			select {
			case <-time.After(probeEvery):
			case <-ctx.Done():
			}
		}
	}
	return ErrSilent
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// probePacket makes a long header (RFC 8999 §5.1) and padding.
func probePacket() (packet, own []byte) {
	packet = make([]byte, probeSize)
	packet[0] = 0xc0
	binary.BigEndian.PutUint32(packet[1:], probeVersion)
	packet[5] = probeID
	packet[6+probeID] = probeID
	rand.Read(packet[6 : 6+probeID])
	own = packet[7+probeID : 7+2*probeID]
	rand.Read(own)
	return packet, own
}

// answersProbe tells whether a packet is a version negotiation for us (RFC 8999 §6).
func answersProbe(packet, own []byte) bool {
	return len(packet) > 6+probeID && packet[0]&0x80 != 0 && binary.BigEndian.Uint32(packet[1:]) == 0 &&
		packet[5] == probeID && bytes.Equal(packet[6:6+probeID], own)
}
