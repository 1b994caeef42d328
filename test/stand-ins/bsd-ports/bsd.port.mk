# What our ports need of the ports trees of OpenBSD and FreeBSD, to run their do-build and do-install elsewhere: folders
# come from the command line (PREFIX, LOCALBASE, WRKDIR, STAGEDIR).
WRKDIST ?=	${WRKDIR}/${PORTNAME}-${DISTVERSION}
WRKSRC ?=	${WRKDIST}
SETENV =	env
MAKE_ENV =
MKDIR =		mkdir -p
CHMOD =		chmod
LN =		ln
STAGEDIR ?=
DOCSDIR =	${PREFIX}/share/doc/${PORTNAME}
EXAMPLESDIR =	${PREFIX}/share/examples/${PORTNAME}
INSTALL_DATA =	install -m 644
INSTALL_MAN =	install -m 644
INSTALL_DATA_DIR =	install -d -m 755
INSTALL_MAN_DIR =	install -d -m 755
