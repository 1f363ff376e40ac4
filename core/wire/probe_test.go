package wire

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestProbe(t *testing.T) {
	s := serve(t, healthRouter(), ServeOptions{})
	running := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(s.link.Port))
	if err := Probe(testContext(t), running); err != nil {
		t.Error(err)
	}
	mute := listen(t, "127.0.0.1:0")
	muteAt := mute.LocalAddr().(*net.UDPAddr).AddrPort()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := Probe(ctx, muteAt); !errors.Is(err, ErrSilent) {
		t.Errorf("somebody who listens and does not answer: %v", err)
	}
	_ = mute.Close()
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := Probe(ctx, muteAt); !errors.Is(err, ErrSilent) {
		t.Errorf("nobody: %v", err)
	}
}

func TestProbeAnswers(t *testing.T) {
	_, own := probePacket()
	answer := append([]byte{0x80, 0, 0, 0, 0, probeID}, own...)
	answer = append(answer, 0, 0, 0, 0, 1)
	if !answersProbe(answer, own) {
		t.Error("an answer is not taken")
	}
	for i := range 6 + probeID {
		bad := append([]byte(nil), answer...)
		if i == 0 {
			bad[0] = 0x40
		} else {
			bad[i] ^= 1
		}
		if answersProbe(bad, own) {
			t.Errorf("taken with byte %d changed", i)
		}
	}
	for n := range 7 + probeID - 1 {
		if answersProbe(answer[:n], own) {
			t.Errorf("taken with %d bytes", n)
		}
	}
}
