package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"

	"quicprochat/core/mls"
)

// command runs on the whole line of a request.
type command func(s *session, line []byte) (any, error)

// commands has every command by its name.
var commands = map[string]command{
	"hello":         with((*session).hello),
	"client":        with((*session).client),
	"psk":           with((*session).psk),
	"keypackage":    with((*session).keyPackage),
	"create":        with((*session).create),
	"join":          with((*session).join),
	"propose":       with((*session).propose),
	"commit":        with((*session).commit),
	"process":       with((*session).process),
	"merge":         with((*session).merge),
	"discard":       with((*session).discard),
	"successor":     with((*session).successor),
	"seal":          with((*session).seal),
	"open":          with((*session).open),
	"export":        with((*session).export),
	"groupinfo":     with((*session).groupInfo),
	"external-join": with((*session).externalJoin),
	"info":          with((*session).info),
	"save":          with((*session).save),
	"restore":       with((*session).restore),
	"drop":          with((*session).drop),
}

// with makes a command of a method and the parameters it takes. A parameter that it
// does not take is an error: it is most likely misspelt.
func with[P, R any](method func(*session, P) (R, error)) command {
	return func(s *session, line []byte) (any, error) {
		var all map[string]json.RawMessage
		if err := json.Unmarshal(line, &all); err != nil {
			return nil, badRequest("%v", err)
		}
		delete(all, "id")
		delete(all, "cmd")
		rest, err := json.Marshal(all)
		if err != nil {
			return nil, badRequest("%v", err)
		}
		var parameters P
		d := json.NewDecoder(bytes.NewReader(rest))
		d.DisallowUnknownFields()
		if err := d.Decode(&parameters); err != nil {
			return nil, badRequest("%v", err)
		}
		return method(s, parameters)
	}
}

// octets are bytes that are hex in JSON.
type octets []byte

func (o octets) MarshalJSON() ([]byte, error) { return json.Marshal(hex.EncodeToString(o)) }

func (o *octets) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	raw, err := hex.DecodeString(s)
	if err != nil {
		return err
	}
	*o = raw
	return nil
}

// extension is an extension of a group context.
type extension struct {
	Type uint16 `json:"type"`
	Data octets `json:"data"`
}

func toExtensions(list []extension) []mls.Extension {
	out := make([]mls.Extension, len(list))
	for i, e := range list {
		out[i] = mls.Extension{Type: e.Type, Data: e.Data}
	}
	return out
}

func fromExtensions(list []mls.Extension) []extension {
	out := make([]extension, len(list))
	for i, e := range list {
		out[i] = extension{e.Type, e.Data}
	}
	return out
}
