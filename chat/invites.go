package chat

// takeInvites refuses to add users to a group who do not want to be added by inviter.
func takeInvites(tx Tx, inviter ID, users []ID) error {
	refusing, err := tx.RefusingInvites(inviter, users)
	if err == nil && len(refusing) > 0 {
		err = errCannotAdd(refusing[0])
	}
	return err
}

// errCannotAdd does not tell a block from what the user takes from whom.
func errCannotAdd(user ID) error {
	return &Error{Code: CodeRecipientNotAccepting, Detail: "The user " + user.String() + " cannot be added by you."}
}
