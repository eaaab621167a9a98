package e2e_test

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

// trial is a group with everybody in it that a row of the table needs.
type trial struct {
	t        *testing.T
	group    string
	owner    *person
	member   *person // somebody to act upon, with the role of a member
	admin    *person // and with that of an admin
	outsider *person
	asking   *person // who asks to join, of a public group
}

// owners does something as the owner.
func (s *trial) owners(change client.UpdateGroupRequest) {
	s.t.Helper()
	_, err := s.owner.UpdateGroup(s.t.Context(), s.group, change)
	require.NoError(s.t, err)
}

// errNotShown says that an answer came without what was asked for.
var errNotShown = errors.New("not shown")

// permissions is how each row of the table is tried.
var permissions = map[string]func(s *trial, p *person) error{
	"see the group": func(s *trial, p *person) error { _, err := p.Group(s.t.Context(), s.group); return err },
	"see the announcement": func(s *trial, p *person) error {
		_, err := s.owner.SetAnnouncement(s.t.Context(), s.group, "Next week.")
		require.NoError(s.t, err)
		group, err := p.Group(s.t.Context(), s.group)
		if err == nil && group.Announcement == nil {
			return errNotShown
		}
		return err
	},
	"see the members": func(s *trial, p *person) error {
		_, err := p.Members(s.t.Context(), s.group, client.Page{})
		return err
	},
	"read the history": func(s *trial, p *person) error {
		_, err := p.Messages(s.t.Context(), s.group, client.HistoryQuery{})
		return err
	},
	"send a message": sendSomething,
	"send a message while `send_policy` is `admins`": func(s *trial, p *person) error {
		s.owners(client.UpdateGroupRequest{SendPolicy: new(client.SendPolicyAdmins)})
		return sendSomething(s, p)
	},
	"leave": func(s *trial, p *person) error { return p.LeaveGroup(s.t.Context(), s.group) },
	"change name, description, policies": func(s *trial, p *person) error {
		_, err := p.UpdateGroup(s.t.Context(), s.group, client.UpdateGroupRequest{
			Name: new("New"), Description: new("x"), Visibility: new(client.VisibilityPrivate), JoinPolicy: new(client.JoinPolicyOpen),
			AddPolicy: new(client.AddPolicyMembers), SendPolicy: new(client.SendPolicyAdmins), HistoryForNewcomers: new(false),
		})
		return err
	},
	"set or remove the announcement": func(s *trial, p *person) error {
		_, err := p.SetAnnouncement(s.t.Context(), s.group, "x")
		return same(s, err, p.RemoveAnnouncement(s.t.Context(), s.group))
	},
	"add a member": addOutsider(""),
	"add a member while `add_policy` is `members`": func(s *trial, p *person) error {
		s.owners(client.UpdateGroupRequest{AddPolicy: new(client.AddPolicyMembers)})
		return addOutsider("")(s, p)
	},
	"add an admin": addOutsider(client.RoleAdmin),
	"make, list and revoke invitations": func(s *trial, p *person) error {
		made, err := p.CreateInvitation(s.t.Context(), s.group, client.CreateInvitationRequest{})
		if err != nil {
			made, _ = s.owner.CreateInvitation(s.t.Context(), s.group, client.CreateInvitationRequest{})
		}
		_, listing := p.Invitations(s.t.Context(), s.group, client.Page{})
		return same(s, err, listing, p.RevokeInvitation(s.t.Context(), s.group, made.ID))
	},
	"list, accept and decline join requests": func(s *trial, p *person) error {
		ask := func() {
			if s.asking != nil {
				_, err := s.asking.JoinGroup(s.t.Context(), s.group)
				require.NoError(s.t, err)
			}
		}
		ask()
		who := s.outsider
		if s.asking != nil {
			who = s.asking
		}
		_, err := p.JoinRequests(s.t.Context(), s.group, client.Page{})
		declining := p.DeclineJoinRequest(s.t.Context(), s.group, who.id)
		ask()
		_, accepting := p.AcceptJoinRequest(s.t.Context(), s.group, who.id)
		return same(s, err, declining, accepting)
	},
	"remove a member": func(s *trial, p *person) error { return p.RemoveMember(s.t.Context(), s.group, s.member.id) },
	"remove an admin": func(s *trial, p *person) error { return p.RemoveMember(s.t.Context(), s.group, s.admin.id) },
	"mute and unmute a member": func(s *trial, p *person) error {
		_, err := p.MuteMember(s.t.Context(), s.group, s.member.id, time.Now().Add(time.Hour))
		return same(s, err, p.UnmuteMember(s.t.Context(), s.group, s.member.id))
	},
	"mute an admin": func(s *trial, p *person) error {
		_, err := p.MuteMember(s.t.Context(), s.group, s.admin.id, time.Now().Add(time.Hour))
		return err
	},
	"ban a member": func(s *trial, p *person) error {
		_, err := p.BanUser(s.t.Context(), s.group, s.member.id, "x")
		return err
	},
	"ban an admin": func(s *trial, p *person) error {
		_, err := p.BanUser(s.t.Context(), s.group, s.admin.id, "x")
		return err
	},
	"ban somebody who is no member": func(s *trial, p *person) error {
		_, err := p.BanUser(s.t.Context(), s.group, s.outsider.id, "x")
		return err
	},
	"list and lift bans": func(s *trial, p *person) error {
		_, err := s.owner.BanUser(s.t.Context(), s.group, s.outsider.id, "")
		require.NoError(s.t, err)
		_, err = p.Bans(s.t.Context(), s.group, client.Page{})
		return same(s, err, p.LiftBan(s.t.Context(), s.group, s.outsider.id))
	},
	"change roles": func(s *trial, p *person) error {
		_, err := p.PutMember(s.t.Context(), s.group, s.member.id, client.RoleAdmin)
		return err
	},
	"hand the group over": func(s *trial, p *person) error {
		_, err := p.PutMember(s.t.Context(), s.group, s.member.id, client.RoleOwner)
		return err
	},
	"dissolve the group": func(s *trial, p *person) error { return p.DissolveGroup(s.t.Context(), s.group) },
}

func sendSomething(s *trial, p *person) error {
	_, err := p.SendToGroup(s.t.Context(), s.group, client.SendMessageRequest{Body: "x"})
	return err
}

func addOutsider(role client.Role) func(s *trial, p *person) error {
	return func(s *trial, p *person) error {
		_, err := p.PutMember(s.t.Context(), s.group, s.outsider.id, role)
		return err
	}
}

// same returns what several calls of one row came to, which must be the same.
func same(s *trial, first error, others ...error) error {
	s.t.Helper()
	for _, other := range others {
		assert.Equal(s.t, verdict(first), verdict(other))
	}
	return first
}

// verdict is what the table calls an outcome.
func verdict(err error) string {
	var problem *client.Problem
	switch {
	case err == nil:
		return "yes"
	case errors.Is(err, errNotShown):
		return "no"
	case !errors.As(err, &problem):
		return err.Error()
	case problem.Status == http.StatusForbidden:
		return "no"
	case problem.Status == http.StatusNotFound:
		return "hidden"
	case problem.Status == http.StatusConflict:
		return "conflict"
	default:
		return problem.Error()
	}
}

// permissionTable reads the rows of the document's first table.
func permissionTable(t *testing.T) (columns []string, rows [][]string) {
	t.Helper()
	text, err := os.ReadFile("../docs/groups.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## Who may do what\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.SplitSeq(section, "\n") {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| ---") {
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows = append(rows, cells)
	}
	require.NotEmpty(t, rows)
	return rows[0], rows[1:]
}

// players is who takes part in all trials.
type players struct {
	owner, admin, member, stranger         *person // who try
	otherMember, otherAdmin, guest, asking *person
}

// set makes a group for one trial.
func (c players) set(t *testing.T, visibility client.Visibility) *trial {
	t.Helper()
	made, err := c.owner.CreateGroup(t.Context(), client.CreateGroupRequest{
		Name: "Trial", Visibility: visibility, JoinPolicy: client.JoinPolicyApproval,
		Members: []string{c.admin.id, c.member.id, c.otherMember.id, c.otherAdmin.id},
	})
	require.NoError(t, err)
	for _, admin := range []*person{c.admin, c.otherAdmin} {
		_, err := c.owner.PutMember(t.Context(), made.ID, admin.id, client.RoleAdmin)
		require.NoError(t, err)
	}
	s := &trial{t: t, group: made.ID, owner: c.owner, member: c.otherMember, admin: c.otherAdmin, outsider: c.guest}
	if visibility == client.VisibilityPublic {
		s.asking = c.asking
	}
	return s
}

func TestTheTableOfPermissionsIsTrue(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		people := d.people(t, "owner", "admin", "member", "stranger", "other-member", "other-admin", "guest", "asking")
		c := players{people[0], people[1], people[2], people[3], people[4], people[5], people[6], people[7]}
		columns, rows := permissionTable(t)
		require.Equal(t, []string{"what", "owner", "admin", "member", "stranger, public group", "stranger, private group"}, columns)
		tried := map[string]bool{}
		for _, row := range rows {
			require.Len(t, row, len(columns), row[0])
			try := permissions[row[0]]
			if !assert.NotNil(t, try, "nobody tries to %s", row[0]) {
				continue
			}
			tried[row[0]] = true
			for i, column := range columns[1:] {
				p, visibility := []*person{c.owner, c.admin, c.member, c.stranger, c.stranger}[i], client.VisibilityPublic
				if strings.Contains(column, "private") {
					visibility = client.VisibilityPrivate
				}
				s := c.set(t, visibility)
				assert.Equal(t, row[i+1], verdict(try(s, p)), "%s: %s", row[0], column)
			}
		}
		for name := range permissions {
			assert.True(t, tried[name], "the table does not tell who may %s", name)
		}
	})
}
