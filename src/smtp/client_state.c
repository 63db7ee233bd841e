#include "smtp/client_inner.h"

void client_go(struct smtp_client *c, enum state state)
{
	c->state = (uint8_t)state;
	c->waiting = false;
}

void client_fail(struct smtp_client *c, enum smtp_client_stage stage)
{
	c->failed = (uint8_t)stage;
	client_go(c, AT_FAILED);
}

void client_fail_because(struct smtp_client *c, enum smtp_client_stage stage, const char *reason)
{
	upstream_explain(&c->upstream, reason);
	client_fail(c, stage);
}

void client_fail_unsendable(struct smtp_client *c, enum smtp_client_stage stage)
{
	client_fail_because(c, stage, "a command of ours can't be put into a line");
}
